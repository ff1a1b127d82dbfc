"""A total loss paid across services: insurer to owners, out of the lessor's part its lenders."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from ironloop.leasing.v1 import leasing_events_pb2 as events
from ironloop.settlement.v1 import settlement_pb2

from services.finmath.allocation import Parts
from services.finmath.waterfall import distribute
from services.kit import wire
from services.kit.postings import Leg, open_wallets, post
from services.kit.principals import Principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step, until_done
from services.kit.transaction import Transaction
from services.leasing import instalment_store, pledges
from services.leasing.announcements import announce, announce_paid, sides
from services.leasing.approval_sagas import answer_lease
from services.leasing.busy import begin, end, end_refused
from services.leasing.errors import LossPaid
from services.leasing.hand_back import take_back
from services.leasing.instalment_handlers import set_agenda
from services.leasing.instalment_model import OPEN, Instalment, InstalmentState
from services.leasing.lifecycle import INSTALMENT, LEASE
from services.leasing.locks import lock_as_insurer, lock_by_name
from services.leasing.model import Lease


async def begin_loss_payment(tx: Transaction, lease_id: UUID, *, viewer: Principal) -> Saga:
    """Begin to pay the stipulated loss value: principal outstanding and residual.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        LossPaid: It is paid.
    """
    lease = await lock_as_insurer(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "pay_total_loss", subject=lease.name)
    assert lease.loss is not None, f"{lease.name} is {lease.state} without a loss"
    if lease.loss.paid_at is not None:
        raise LossPaid(lease.name)
    instalments = await instalment_store.list_of_lease(tx.connection, lease.id)
    return await begin(
        tx,
        lease,
        "lease_total_loss",
        insurer=lease.loss.insurer,
        shares=loss_shares(lease, instalments),
    )


def loss_shares(lease: Lease, instalments: list[Instalment]) -> dict[str, int]:
    """Return what each owner gets of the stipulated loss value; the sum is what is outstanding.

    An assignee gets the principal that is left on its instalments, the lessor the rest.
    """
    shares = {lease.terms.lessor: lease.outstanding_fen}
    for item in instalments:
        if item.state in OPEN and item.owner != lease.terms.lessor:
            shares[item.owner] = shares.get(item.owner, 0) + item.owed.principal_fen
            shares[lease.terms.lessor] -= item.owed.principal_fen
    return shares


async def _quote(runtime: Runtime, saga: Saga) -> Facts:
    return {"payoffs": await pledges.quote_payoffs(runtime, saga, title_moves=False)}


async def _post(runtime: Runtime, saga: Saga) -> Facts:
    """Pay the owners, and the lessor's lenders as far as its part goes, as one linked chain."""
    facts = saga.facts
    insurer, lessor = facts["insurer"], facts["lessor"]
    shares: dict[str, int] = facts["shares"]
    wallets = await open_wallets(runtime.peers, [insurer, *shares])
    legs = [
        Leg(
            id=saga.fact_id(f"share of {owner}"),
            debit=wallets[insurer],
            credit=wallets[owner],
            amount_fen=amount_fen if owner != insurer else 0,
            code=settlement_pb2.TRANSFER_CODE_INSURANCE,
            purpose=saga.subject,
            payer=insurer,
        )
        for owner, amount_fen in shares.items()
    ]
    legs += [
        Leg(
            id=saga.fact_id(f"payoff of {payoff.draw}"),
            debit=wallets[lessor],
            credit=payoff.account,
            amount_fen=paid_fen,
            code=settlement_pb2.TRANSFER_CODE_LIEN_PAYOFF,
            purpose=payoff.purpose,
            payer=lessor,
        )
        for payoff, paid_fen in _payoffs(saga)
    ]
    await post(runtime.peers, legs, txn=saga.fact_id("chain"))
    return {}


async def _settle_draws(runtime: Runtime, saga: Saga) -> Facts:
    parts = [
        pledges.part_of(
            payoff,
            paid_fen,
            [str(saga.fact_id(f"payoff of {payoff.draw}"))] if paid_fen else [],
        )
        for payoff, paid_fen in _payoffs(saga)
    ]
    await pledges.settle_parts(runtime, saga, parts)
    return {}


async def _take_wreck(runtime: Runtime, saga: Saga) -> Facts:
    async with until_done(f"hand-over of {saga.facts['machine']}"):
        return await take_back(runtime, saga)


async def _enter(tx: Transaction, saga: Saga) -> None:
    """End what was to come, and enter the principal of what is due; the rest of that stays owed."""
    lease = await lock_by_name(tx, saga.subject)
    step = LEASE.next(lease.state, "pay_total_loss", subject=lease.name)
    assert lease.loss is not None, f"{lease.name} has a loss"
    total_fen = sum(saga.facts["shares"].values())
    loss = replace(lease.loss, paid_fen=total_fen, paid_at=tx.now)
    shares: dict[str, int] = saga.facts["shares"]
    instalments = await instalment_store.list_of_lease(tx.connection, lease.id)
    numbers: dict[str, list[int]] = {owner: [] for owner in shares}
    settled = []
    for item in instalments:
        if item.state not in OPEN:
            continue
        lease, paid = await _pay_principal(tx, lease, item)
        settled.append(paid)
        if paid.state is InstalmentState.PAID_OFF:
            numbers[paid.owner].append(paid.number)
    await instalment_store.update_instalments(tx.connection, settled)
    await set_agenda(tx, replace(lease, loss=loss), settled)
    lease = await announce(
        tx,
        replace(lease, state=step.target, outstanding_fen=0, loss=loss, is_machine_free=True),
        events.TotalLossPaid,
        insurer=loss.insurer,
        amount=wire.money(total_fen),
        shares=[
            events.OwnerShare(owner=owner, amount=wire.money(fen), numbers=numbers[owner])
            for owner, fen in shares.items()
        ],
        **sides(lease),
    )
    await end(tx, lease)


async def _pay_principal(
    tx: Transaction, lease: Lease, instalment: Instalment
) -> tuple[Lease, Instalment]:
    """Enter the principal of an instalment: one to come is paid off, one that is due in part."""
    principal = Parts(principal_fen=instalment.owed.principal_fen)
    item = instalment.accrued_to(tx.today)
    paid = replace(item, paid=item.paid + principal, pay_time=tx.now)
    if item.state is InstalmentState.SCHEDULED:
        step = INSTALMENT.next(item.state, "pay_off", subject=item.name)
        return lease, replace(paid, state=step.target)
    if not principal.total_fen:
        return lease, instalment
    command = "pay_part" if paid.owed.total_fen else "pay"
    step = INSTALMENT.next(item.state, command, subject=item.name)
    paid = replace(paid, state=step.target)
    days = item.days_past_due(tx.today)
    return await announce_paid(tx, lease, paid, paid=principal, days_past_due=days), paid


def _payoffs(saga: Saga) -> list[tuple[Any, int]]:
    """Return the payoffs by rank, each with what the lessor's part pays of it."""
    payoffs = pledges.payoffs_of(saga)
    lessor_fen: int = saga.facts["shares"][saga.facts["lessor"]]
    spread = distribute(lessor_fen, [payoff.amount_fen for payoff in payoffs])
    return list(zip(payoffs, spread.paid_fen, strict=True))


LOSS_PAYMENT = SagaKind(
    kind="lease_total_loss",
    steps=(
        Step("quote payoffs", call=_quote),
        Step("post", call=_post),
        Step("settle draws", call=_settle_draws),
        Step("take the wreck", call=_take_wreck, apply=_enter),
    ),
    answer=answer_lease,
    on_refused=end_refused,
)
