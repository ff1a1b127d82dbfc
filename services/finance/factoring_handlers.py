"""Receivables and the sale of a run of them, one transaction a command."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

from services.finance import (
    concentration_handlers,
    facility_store,
    factoring_store,
    policy_store,
    receivable_events,
    receivable_handlers,
    receivable_store,
)
from services.finance.clients import registration_number
from services.finance.errors import (
    AlreadyAssigned,
    OfferExpired,
    ReceivableNotEligible,
)
from services.finance.facility_handlers import check_rate
from services.finance.lifecycle import FACTORING, RECEIVABLE
from services.finance.policy_model import Parameter, Terms
from services.finance.receivable_model import (
    Factoring,
    FactoringState,
    Notice,
    Receivable,
    ReceivableState,
    check_sellable,
    price_run,
)
from services.kit.errors import InvalidArgument, NotFound
from services.kit.ids import name, new_id
from services.kit.timers import Timer
from services.kit.transaction import Transaction

EXPIRY = "factoring_expiry"
RETURN = "factoring_return"
CASH_WITHIN = timedelta(hours=24)
ASK_AGAIN_AFTER = timedelta(minutes=1)  # where a saga still works on a factoring that runs out


async def offer_factoring(
    tx: Transaction,
    lease: str,
    *,
    from_number: int,
    to_number: int,
    nominal_rate: Decimal,
    funder: str,
    facility_id: UUID | None,
    lessor: str,
) -> Factoring:
    """Offer a run of confirmed instalments to a funder, and lock them.

    Raises:
        InvalidArgument: The run ends before it begins, the rate is out of range, or the funder is
            one of the lease's sides.
        NotFound: The lessor has no such instalments, or no such facility of the funder.
        AlreadyAssigned: One stands in a live offer or assignment.
        TransitionRefused, ReceivableNotEligible: One is not confirmed, due, or paid in part.
        FacilityNotActive: What the facility refuses.
        ConcentrationExceeded: The debtor would stand for too much of facility or portfolio.
    """
    check_rate(nominal_rate)
    run = await receivable_handlers.lock_run(
        tx, lease, from_number=from_number, to_number=to_number, party=lessor, as_debtor=False
    )
    whole_lease = await receivable_store.lock_run(tx.connection, lease)
    debtor = run[0].debtor
    if funder in (lessor, debtor):
        raise InvalidArgument("funder", "must be neither the lessor nor the lessee")
    _check_unlocked(run)
    check_sellable(run, tx.today)
    terms = await _check_lease(
        tx, whole_lease, run, facility_id=facility_id, funder=funder, lessor=lessor
    )

    past = [line for line in whole_lease if line.due_on <= tx.today]
    last_due = past[-1].number if past else 0
    price = price_run(run, nominal_rate, months=[line.number - last_due for line in run])
    factoring = Factoring(
        id=new_id(),
        version=1,
        state=FactoringState.OFFERED,
        lease=lease,
        machine=run[0].machine,
        from_number=from_number,
        to_number=to_number,
        lessor=lessor,
        debtor=debtor,
        funder=funder,
        facility_id=facility_id,
        nominal_rate=nominal_rate,
        as_of=past[-1].due_on if past else tx.today,
        gross_fen=price.discounted.gross_fen,
        price_fen=price.discounted.present_value_fen,
        draw_id=None,
        draw_repaid_fen=None,
        registry_no="",
        policy_version=terms.version,
        expire_at=tx.now + CASH_WITHIN,
        held_by="",
        create_time=tx.now,
        update_time=tx.now,
    )
    await factoring_store.insert_factoring(tx.connection, factoring)
    shares = [(line.id, share) for line, share in zip(run, price.shares_fen, strict=True)]
    await factoring_store.insert_assignments(tx.connection, factoring.id, shares)
    await _lock(tx, run, factoring)
    await tx.set_timer(EXPIRY, factoring.name, due_at=factoring.expire_at)
    return factoring


async def _lock(tx: Transaction, run: Sequence[Receivable], factoring: Factoring) -> None:
    locked = [
        replace(line, state=ReceivableState.OFFERED, factoring_id=factoring.id) for line in run
    ]
    await receivable_store.update_receivables(tx.connection, locked, at=tx.now, events=0)


def _check_unlocked(run: Sequence[Receivable]) -> None:
    """Check that every instalment may be offered and stands in no live offer or assignment."""
    for line in run:
        if line.factoring_id is not None:
            raise AlreadyAssigned(line.number, name("factorings", line.factoring_id))
        RECEIVABLE.next(line.state, "offer", subject=line.name)


async def cancel_factoring(tx: Transaction, factoring_id: UUID, *, party: str) -> Factoring:
    """Take a factoring back that is not assigned; either side may.

    Raises:
        NotFound: The party has no such factoring.
        FactoringBusy: It is being accepted.
        TransitionRefused: It is assigned, or over.
    """
    factoring = await factoring_store.lock_factoring_of(
        tx.connection, factoring_id, party=party, funder_only=False
    )
    if factoring is None:
        raise NotFound(name("factorings", factoring_id))
    factoring.require_idle()
    return await fall_back(tx, factoring, command="cancel")


async def begin_acceptance(tx: Transaction, factoring_id: UUID, *, funder: str) -> Factoring:
    """Check that a funder may accept a factoring, or pay for it anew.

    Raises:
        NotFound: The funder has no such factoring.
        FactoringBusy: It is being accepted.
        TransitionRefused, OfferExpired: It is not open any more.
        ReceivableNotEligible: An instalment has been paid meanwhile.
        ConcentrationExceeded: The debtor would stand for too much of the funder's portfolio.
    """
    factoring = await factoring_store.lock_factoring_of(
        tx.connection, factoring_id, party=funder, funder_only=True
    )
    if factoring is None:
        raise NotFound(name("factorings", factoring_id))
    factoring.require_idle()
    command = "fund" if factoring.state is FactoringState.ASSIGNED else "assign"
    FACTORING.next(factoring.state, command, subject=factoring.name)
    if factoring.expire_at <= tx.now:
        raise OfferExpired(factoring.name, factoring.expire_at)
    run = await receivable_store.lock_of_factoring(tx.connection, factoring.id)
    for line in run:
        if line.state not in (ReceivableState.OFFERED, ReceivableState.ASSIGNED) or line.paid_fen:
            raise ReceivableNotEligible(line.name, line.number, f"is {line.state} or paid in part")
    if factoring.facility_id is None and factoring.state is FactoringState.OFFERED:
        policy = await policy_store.get_policy_version(tx.connection, factoring.policy_version)
        await concentration_handlers.check_portfolio(tx, funder, run, terms=policy.terms({}))
    return factoring


async def hold(tx: Transaction, factoring: Factoring, *, by: str) -> Factoring:
    """Let a saga work on a factoring alone, or end its hold with an empty `by`."""
    return await factoring_store.update_factoring(
        tx.connection, replace(factoring, held_by=by), at=tx.now
    )


async def note_assignment(tx: Transaction, factoring_id: UUID) -> None:
    """Note that the instalments are the funder's at leasing, tell the debtor, and register it."""
    factoring = await factoring_store.lock_factoring(tx.connection, factoring_id)
    if factoring.state is FactoringState.ASSIGNED:
        return
    step = FACTORING.next(factoring.state, "assign", subject=factoring.name)
    registry_no = registration_number("ASSIGNMENT", factoring.id, tx.today)
    await factoring_store.update_factoring(
        tx.connection, replace(factoring, state=step.target, registry_no=registry_no), at=tx.now
    )
    lines = await receivable_store.lock_of_factoring(tx.connection, factoring.id)
    assigned = await receivable_handlers.advance(
        tx, lines, "assign", owner=factoring.funder, registry_no=registry_no
    )
    await factoring_store.insert_notice(
        tx.connection,
        Notice(
            id=new_id(),
            factoring_id=factoring.id,
            lease=factoring.lease,
            from_number=factoring.from_number,
            to_number=factoring.to_number,
            debtor=factoring.debtor,
            assignor=factoring.lessor,
            assignee=factoring.funder,
            registry_no=registry_no,
            withdrawn=False,
            create_time=tx.now,
            update_time=tx.now,
        ),
    )
    for line in assigned:
        await tx.emit(receivable_events.assigned(line, factoring))


async def note_funding(tx: Transaction, factoring_id: UUID, *, draw_repaid_fen: int) -> None:
    """Note that the price is paid."""
    factoring = await factoring_store.lock_factoring(tx.connection, factoring_id)
    step = FACTORING.next(factoring.state, "fund", subject=factoring.name)
    await factoring_store.update_factoring(
        tx.connection,
        replace(factoring, state=step.target, draw_repaid_fen=draw_repaid_fen),
        at=tx.now,
    )
    await tx.cancel_timers(factoring.name, kind=EXPIRY)
    shares = await factoring_store.list_shares(tx.connection, factoring.id)
    lines = await receivable_store.lock_of_factoring(tx.connection, factoring.id)
    # One that a buyout settled in this very moment has its money; it stays settled.
    waiting = [line for line in lines if line.state is ReceivableState.ASSIGNED]
    for line in await receivable_handlers.advance(tx, waiting, "fund"):
        await tx.emit(receivable_events.funded(line, factoring, price_fen=shares[line.id]))


async def run_out(tx: Transaction, timer: Timer) -> None:
    """Let a factoring fall back for which no cash came in time."""
    factoring = await factoring_store.lock_factoring(
        tx.connection, UUID(timer.subject.split("/")[1])
    )
    if factoring.held_by:
        await tx.set_timer(EXPIRY, factoring.name, due_at=tx.now + ASK_AGAIN_AFTER)
    elif factoring.state is FactoringState.OFFERED:
        await fall_back(tx, factoring, command="cancel")
    elif factoring.state is FactoringState.ASSIGNED:
        saga = await tx.start_saga(RETURN, factoring.name, facts={"lease": factoring.lease})
        await hold(tx, factoring, by=saga.name)


async def fall_back(tx: Transaction, factoring: Factoring, *, command: str) -> Factoring:
    """Unlock a factoring's receivables: they are the lessor's, confirmed, and free again.

    Raises:
        TransitionRefused: It is past that.
    """
    step = FACTORING.next(factoring.state, command, subject=factoring.name)
    cancelled = await factoring_store.update_factoring(
        tx.connection, replace(factoring, state=step.target, held_by=""), at=tx.now
    )
    await tx.cancel_timers(factoring.name, kind=EXPIRY)
    await factoring_store.end_assignments(tx.connection, factoring.id)
    await factoring_store.withdraw_notice(tx.connection, factoring.id, at=tx.now)
    lines = await receivable_store.lock_of_factoring(tx.connection, factoring.id)
    held = [
        line for line in lines if line.state in (ReceivableState.OFFERED, ReceivableState.ASSIGNED)
    ]
    was_assigned = factoring.state is FactoringState.ASSIGNED
    for line in await receivable_handlers.advance(
        tx, held, "unlock", owner=factoring.lessor, registry_no="", is_free=True
    ):
        if was_assigned:
            await tx.emit(receivable_events.assignment_cancelled(line, factoring))
    return cancelled


async def settle_if_collected(tx: Transaction, factoring_id: UUID) -> None:
    """Close a funded factoring once every instalment of it is paid."""
    factoring = await factoring_store.lock_factoring(tx.connection, factoring_id)
    lines = await receivable_store.lock_of_factoring(tx.connection, factoring_id)
    if factoring.state is not FactoringState.FUNDED:
        return
    if all(line.state is ReceivableState.SETTLED for line in lines):
        step = FACTORING.next(factoring.state, "settle", subject=factoring.name)
        await factoring_store.update_factoring(
            tx.connection, replace(factoring, state=step.target), at=tx.now
        )


async def _check_lease(
    tx: Transaction,
    whole_lease: Sequence[Receivable],
    run: Sequence[Receivable],
    *,
    facility_id: UUID | None,
    funder: str,
    lessor: str,
) -> Terms:
    """Check the lease's arrears, and the debtor's share of the facility or the portfolio."""
    policy = await policy_store.current_policy(tx.connection)
    terms = policy.terms({})
    if facility_id is not None:
        facility = await facility_store.find_facility_of_borrower(
            tx.connection, facility_id, borrower=lessor
        )
        if facility is None or facility.funder != funder:
            raise NotFound(name("facilities", facility_id))
        facility = await facility_store.lock_facility(tx.connection, facility_id)
        facility.require_active()
        terms = policy.terms(facility.overrides)
        await concentration_handlers.check_facility(tx, facility, run, terms=terms)
    else:
        await concentration_handlers.check_portfolio(tx, funder, run, terms=terms)
    days_max = int(terms[Parameter.RECEIVABLE_OVERDUE_DAYS_MAX])
    for line in whole_lease:
        is_open = line.state is not ReceivableState.SETTLED and line.paid_fen < line.amount_fen
        if is_open and (tx.today - line.due_on).days > days_max:
            raise ReceivableNotEligible(
                line.name, line.number, f"of the lease is overdue by more than {days_max} days"
            )
    return terms
