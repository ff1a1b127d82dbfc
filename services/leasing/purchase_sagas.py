"""Sagas that end with the title at the lessee: early buyout, and purchase at maturity.

The price, the returning deposit and the payoff of draws on the machine are one linked chain. Once
it is posted nothing turns back: a later step that is refused is tried again and shows as stuck.
"""

from dataclasses import asdict, replace
from datetime import date
from typing import Any
from uuid import UUID

from ironloop.leasing.v1 import leasing_events_pb2 as events
from ironloop.settlement.v1 import settlement_pb2

from services.finmath.allocation import Parts
from services.kit import wire
from services.kit.postings import Leg, open_wallets, post
from services.kit.principals import Principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step, until_done
from services.kit.transaction import Transaction
from services.leasing import clients, draw_clients, instalment_store, pledges
from services.leasing.announcements import announce, announce_paid, sides
from services.leasing.approval_sagas import answer_lease
from services.leasing.busy import begin, end, end_refused
from services.leasing.buyout_model import Settlement, Share, settle, shares_of
from services.leasing.errors import BuyoutLapsed
from services.leasing.instalment_model import Instalment, InstalmentState, require_settled
from services.leasing.lifecycle import INSTALMENT, LEASE
from services.leasing.locks import lock_as_lessee, lock_by_name
from services.leasing.model import Lease
from services.leasing.pledges import payoffs_of


async def begin_buyout(tx: Transaction, lease_id: UUID, *, viewer: Principal) -> Saga:
    """Begin to buy a machine out at the quoted total.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        BuyoutLapsed: The quoted day is over.
    """
    lease = await lock_as_lessee(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "buy_out", subject=lease.name)
    assert lease.buyout is not None, f"{lease.name} is {lease.state} without a quote"
    if tx.today > lease.buyout.as_of:
        raise BuyoutLapsed(lease.name, lease.buyout.as_of)
    settlement = await _settlement(tx, lease, as_of=lease.buyout.as_of)
    assert settlement.quote == lease.buyout, f"{lease.name} changed under its buyout quote"
    shares = shares_of(lease, settlement)
    return await begin(
        tx,
        lease,
        "lease_buyout",
        code="BUYOUT",
        as_of=lease.buyout.as_of.isoformat(),
        deposit_fen=lease.deposit_held_fen,
        shares=[asdict(share) for share in shares],
    )


async def begin_purchase(tx: Transaction, lease_id: UUID, *, viewer: Principal) -> Saga:
    """Begin to buy the machine of a matured lease for the residual.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
        InstalmentUnpaid: An instalment is not paid.
    """
    lease = await lock_as_lessee(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "purchase", subject=lease.name)
    instalments = await instalment_store.list_of_lease(tx.connection, lease.id)
    require_settled(instalments, by=date.max)
    price = Share(lease.terms.lessor, lease.residual_now_fen, ())
    return await begin(
        tx,
        lease,
        "lease_purchase",
        code="RESIDUAL",
        deposit_fen=lease.deposit_held_fen,
        shares=[asdict(price)],
    )


async def _settlement(tx: Transaction, lease: Lease, *, as_of: date) -> Settlement:
    instalments = await instalment_store.list_of_lease(tx.connection, lease.id)
    return settle(lease, instalments, as_of=as_of)


async def _quote_payoffs(runtime: Runtime, saga: Saga) -> Facts:
    return {"payoffs": await pledges.quote_payoffs(runtime, saga)}


async def _post(runtime: Runtime, saga: Saga) -> Facts:
    """Return the deposit, pay the shares, and pay the draws off out of the lessor's, in one."""
    facts = saga.facts
    lessor, lessee = facts["lessor"], facts["lessee"]
    shares = _shares(saga)
    wallets = await open_wallets(
        runtime.peers, [lessee, lessor, *(share.owner for share in shares)]
    )
    deposit = await clients.open_deposit(runtime.peers, lease=saga.subject, lessee=lessee)
    code = wire.enum_number(settlement_pb2.TransferCode, facts["code"], prefix="TRANSFER_CODE_")
    legs = [
        Leg(
            id=saga.fact_id("deposit"),
            debit=deposit,
            credit=wallets[lessee],
            amount_fen=facts["deposit_fen"],
            code=settlement_pb2.TRANSFER_CODE_LEASE_DEPOSIT_REFUND,
            purpose=saga.subject,
            payer=saga.subject,
        )
    ]
    legs += [
        Leg(
            id=saga.fact_id(f"share of {share.owner}"),
            debit=wallets[lessee],
            credit=wallets[share.owner],
            amount_fen=share.amount_fen,
            code=code,
            purpose=saga.subject,
            payer=lessee,
        )
        for share in shares
    ]
    legs += [
        Leg(
            id=saga.fact_id(f"payoff of {payoff.draw}"),
            debit=wallets[lessor],
            credit=payoff.account,
            amount_fen=payoff.amount_fen,
            code=settlement_pb2.TRANSFER_CODE_LIEN_PAYOFF,
            purpose=payoff.purpose,
            payer=lessor,
        )
        for payoff in payoffs_of(saga)
    ]
    await post(runtime.peers, legs, txn=saga.fact_id("chain"))
    return {}


async def _settle_payoffs(runtime: Runtime, saga: Saga) -> Facts:
    for payoff in payoffs_of(saga):
        async with until_done(f"payoff of {payoff.draw}"):
            await draw_clients.settle_payoff(
                runtime.peers,
                payoff.draw,
                transfer_id=str(saga.fact_id(f"payoff of {payoff.draw}")),
                request_id=saga.retry_request_id(f"settle {payoff.draw}"),
            )
    return {}


async def _hand_over(runtime: Runtime, saga: Saga) -> Facts:
    machine = saga.facts["machine"]
    async with until_done(f"hand-over of {machine}"):
        await clients.hand_over_machine(
            runtime.peers,
            machine,
            lease=saga.subject,
            custody="AVAILABLE",
            custodian=saga.facts["lessee"],
            request_id=saga.retry_request_id("hand over"),
        )
    return {}


async def _move_title(runtime: Runtime, saga: Saga) -> Facts:
    machine = saga.facts["machine"]
    async with until_done(f"title of {machine}"):
        await clients.transfer_title(
            runtime.peers,
            machine,
            lease=saga.subject,
            from_party=saga.facts["lessor"],
            to_party=saga.facts["lessee"],
            request_id=saga.retry_request_id("title"),
        )
    return {}


async def _end_buyout(tx: Transaction, saga: Saga) -> None:
    """Close what the buyout settled, and the lease with it."""
    lease = await lock_by_name(tx, saga.subject)
    step = LEASE.next(lease.state, "buy_out", subject=lease.name)
    as_of = date.fromisoformat(saga.facts["as_of"])
    settlement = await _settlement(tx, lease, as_of=as_of)
    closed = []
    for instalment in settlement.due:
        paid = _paid(tx, instalment, instalment.owed)
        if paid.state is InstalmentState.PAID:
            lease = await announce_paid(
                tx,
                lease,
                paid,
                paid=instalment.owed,
                days_past_due=instalment.days_past_due(tx.today),
            )
        closed.append(paid)
    closed += [
        _paid(tx, instalment, Parts(principal_fen=instalment.due.principal_fen))
        for instalment in settlement.coming
    ]
    await instalment_store.update_instalments(tx.connection, closed)
    lease = await announce(
        tx,
        replace(lease, state=step.target, buyout=None),
        events.LeaseBoughtOut,
        total=wire.money(settlement.quote.total_fen),
        shares=[
            events.BuyoutShare(
                owner=share.owner, amount=wire.money(share.amount_fen), numbers=share.numbers
            )
            for share in _shares(saga)
        ],
        **sides(lease),
    )
    await _end_owned(tx, lease)


async def _end_purchase(tx: Transaction, saga: Saga) -> None:
    lease = await lock_by_name(tx, saga.subject)
    step = LEASE.next(lease.state, "purchase", subject=lease.name)
    lease = await announce(
        tx,
        replace(lease, state=step.target),
        events.LeasePurchased,
        price=wire.money(lease.residual_now_fen),
        **sides(lease),
    )
    await _end_owned(tx, lease)


async def _end_owned(tx: Transaction, lease: Lease) -> None:
    """Write a lease whose machine is the lessee's: nothing is owed or held any more."""
    await tx.cancel_timers(lease.name)
    await end(tx, replace(lease, outstanding_fen=0, deposit_held_fen=0))


def _paid(tx: Transaction, instalment: Instalment, parts: Parts) -> Instalment:
    """Return an instalment that a buyout closes, paid to the extent of `parts`."""
    is_ahead = instalment.state is InstalmentState.SCHEDULED
    step = INSTALMENT.next(
        instalment.state, "pay_off" if is_ahead else "pay", subject=instalment.name
    )
    return replace(instalment, state=step.target, paid=instalment.paid + parts, pay_time=tx.now)


def _shares(saga: Saga) -> list[Share]:
    kept: list[dict[str, Any]] = saga.facts["shares"]
    return [Share(each["owner"], each["amount_fen"], tuple(each["numbers"])) for each in kept]


_PAY_AND_MOVE = (
    Step("quote payoffs", call=_quote_payoffs),
    Step("post", call=_post),
    Step("settle payoffs", call=_settle_payoffs),
    Step("hand over", call=_hand_over),
)

BUYOUT = SagaKind(
    kind="lease_buyout",
    steps=(*_PAY_AND_MOVE, Step("move title", call=_move_title, apply=_end_buyout)),
    answer=answer_lease,
    on_refused=end_refused,
)

PURCHASE = SagaKind(
    kind="lease_purchase",
    steps=(*_PAY_AND_MOVE, Step("move title", call=_move_title, apply=_end_purchase)),
    answer=answer_lease,
    on_refused=end_refused,
)
