"""The settlement of a disposal: an order's price handed down its claims (journal J9, WE-17).

One linked chain: the escrow pays the sale's clearing account, which pays each claimant by rank.
Once it is posted nothing turns back: a draw that cannot be closed at finance is tried until it is.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from uuid import UUID

from ironloop.leasing.v1 import leasing_events_pb2 as events

from services.kit import wire
from services.kit.ids import parse_name
from services.kit.postings import post
from services.kit.principals import Principal, principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.leasing import (
    claim_store,
    clients,
    disposal_store,
    instalment_store,
    lease_store,
    pledges,
)
from services.leasing.announcements import announce, announce_paid, sides
from services.leasing.busy import begin, end, end_refused
from services.leasing.claim_model import Claim, invoice
from services.leasing.disposal_handlers import lock_disposal
from services.leasing.disposal_legs import chain, lines_kept
from services.leasing.disposal_model import Disposal, distribute_price, lines_of
from services.leasing.disposal_plan import (
    Closed,
    Debt,
    close_instalments,
    debt_of,
    funds_of,
    shortfalls_of,
)
from services.leasing.disposal_sagas import answer_disposal, disposal_id_of
from services.leasing.ending_messages import lines_to_wire
from services.leasing.errors import MachineNotSold
from services.leasing.instalment_model import Instalment, InstalmentState
from services.leasing.lifecycle import DISPOSAL, INSTALMENT, LEASE
from services.leasing.locks import lock_by_name
from services.leasing.model import Lease


async def begin_settlement(
    tx: Transaction,
    disposal_id: UUID,
    *,
    viewer: Principal,
    order: str,
    escrow: str,
    price_fen: int,
) -> Saga:
    """Begin to distribute the price that an order's escrow holds.

    Raises:
        NotFound, LeaseBusy.
        TransitionRefused: The disposal is settled by another order, or given up.
    """
    lease, disposal = await lock_disposal(tx, disposal_id, viewer=viewer)
    DISPOSAL.next(disposal.state, "settle", subject=disposal.name)
    LEASE.next(lease.state, "settle_disposal", subject=lease.name)
    return await begin(
        tx,
        lease,
        "lease_disposal_settlement",
        disposal=disposal.name,
        order=order,
        escrow=escrow,
        price_fen=price_fen,
    )


async def _plan(runtime: Runtime, saga: Saga) -> Facts:
    """Ask who is owed what, and hand the price down; the lease is busy, so it stays as read.

    Raises:
        MachineNotSold: The order holds another machine, whose listing named this disposal.
        LiensRemain: A lien would stay that no draw explains.
    """
    await _require_sold(runtime, saga)
    payoffs = await pledges.quote_payoffs(runtime, saga)
    async with runtime.database.read() as connection:
        disposal = await disposal_store.get_disposal(
            connection, disposal_id_of(saga), viewer=principal()
        )
        lease = await lease_store.find_lease(
            connection, parse_name(saga.subject, "leases"), viewer=principal()
        )
        assert lease is not None, f"{saga.subject} of {disposal.name} exists"
        debt = debt_of(lease, await instalment_store.list_of_lease(connection, lease.id))
    saga = replace(saga, facts=saga.facts | {"payoffs": payoffs})
    claims = lines_of(
        transport_fen=disposal.transport_fen,
        carrier=disposal.carrier,
        lenders=pledges.lenders_of(saga),
        assignees=debt.assignees,
        lessor=disposal.lessor,
        lessor_fen=debt.lessor_fen,
    )
    lines, surplus_fen = distribute_price(
        saga.facts["price_fen"], claims, cost_rate=disposal.cost_rate
    )
    return {
        "payoffs": payoffs,
        "beneficiary": disposal.beneficiary,
        "lines": [asdict(line) for line in lines],
        "surplus_fen": surplus_fen,
    }


async def _require_sold(runtime: Runtime, saga: Saga) -> None:
    order: str = saga.facts["order"]
    machine = await clients.get_machine(runtime.peers, saga.facts["machine"], actor=saga.actor)
    if machine.held_for != order:
        raise MachineNotSold(machine.name, order=order, held_for=machine.held_for)


async def _post(runtime: Runtime, saga: Saga) -> Facts:
    """Post the price and its distribution as one linked chain."""
    await post(runtime.peers, await chain(runtime, saga), txn=saga.fact_id("chain"))
    return {}


async def _settle_draws(runtime: Runtime, saga: Saga) -> Facts:
    """Close each lender's draw by what it got, so that its lien is released."""
    lines = lines_kept(saga)
    parts = []
    for payoff in pledges.payoffs_of(saga):
        of_draw = [line for line in lines if line.draw == payoff.draw]
        transfers = [str(line.transfer_id) for line in of_draw if line.transfer_id]
        paid_fen = sum(line.paid_fen for line in of_draw)
        parts.append(pledges.part_of(payoff, paid_fen, transfers))
    await pledges.settle_parts(runtime, saga, parts)
    return {}


async def _settle(tx: Transaction, saga: Saga) -> None:
    """Write what the price paid, end the instalments it was for, and invoice what is short."""
    lease = await lock_by_name(tx, saga.subject)
    disposal = await disposal_store.get_disposal(
        tx.connection, disposal_id_of(saga), viewer=principal()
    )
    step = DISPOSAL.next(disposal.state, "settle", subject=disposal.name)
    debt = debt_of(lease, await instalment_store.list_of_lease(tx.connection, lease.id))
    lines = lines_kept(saga)
    funds = funds_of(lease, debt, lines)
    lease, closed = await _close_instalments(tx, lease, debt, funds)
    claims = await _invoice(tx, lease, disposal, debt, saga)
    settled = replace(
        disposal,
        state=step.target,
        event_sequence=lease.event_sequence + 1,
        debt_fen=debt.total_fen,
        as_of=pledges.as_of(saga),
        sale_order=saga.facts["order"],
        price_fen=saga.facts["price_fen"],
        surplus_fen=saga.facts["surplus_fen"],
        claims=tuple(claim.name for claim in claims),
        lines=tuple(lines),
    )
    await disposal_store.settle_disposal(tx.connection, settled, at=tx.now)
    shares = _shares(funds, closed) if debt.settlement else []
    await end(tx, await _announce(tx, lease, settled, shares))


async def _close_instalments(
    tx: Transaction, lease: Lease, debt: Debt, funds: dict[str, int]
) -> tuple[Lease, list[Closed]]:
    """End the instalments of a repossessed lease: paid as far as the price went."""
    if debt.settlement is None:
        return lease, []
    closed = close_instalments(debt.settlement, funds, lessor=lease.terms.lessor)
    ended = []
    for each in closed:
        over = _ended(tx, each)
        if over.state is InstalmentState.PAID:
            lease = await announce_paid(
                tx,
                lease,
                over,
                paid=each.paid,
                days_past_due=each.instalment.days_past_due(lease.left_on),
            )
        ended.append(over)
    await instalment_store.update_instalments(tx.connection, ended)
    return replace(lease, outstanding_fen=0, is_machine_free=True), closed


def _ended(tx: Transaction, closed: Closed) -> Instalment:
    item = closed.instalment
    is_ahead = item.state is InstalmentState.SCHEDULED
    command = ("pay_off" if is_ahead else "pay") if closed.is_covered else "fall_short"
    step = INSTALMENT.next(item.state, command, subject=item.name)
    pay_time = tx.now if closed.paid.total_fen else item.pay_time
    return replace(item, state=step.target, paid=item.paid + closed.paid, pay_time=pay_time)


async def _invoice(
    tx: Transaction, lease: Lease, disposal: Disposal, debt: Debt, saga: Saga
) -> list[Claim]:
    """Write a claim for each shortfall, told of by the lease's next event."""
    shortfalls = shortfalls_of(
        lease,
        debt,
        lines_kept(saga),
        price_fen=saga.facts["price_fen"],
        surplus_fen=saga.facts["surplus_fen"],
    )
    claims = [
        invoice(
            lease,
            shortfall.kind,
            creditor=shortfall.creditor,
            debtor=shortfall.debtor,
            amount_fen=shortfall.amount_fen,
            reference=disposal.name,
            at=tx.now,
        )
        for shortfall in shortfalls
    ]
    for claim in claims:
        await claim_store.insert_claim(tx.connection, claim)
    return claims


async def _announce(
    tx: Transaction, lease: Lease, disposal: Disposal, shares: list[events.OwnerShare]
) -> Lease:
    return await announce(
        tx,
        lease,
        events.DisposalSettled,
        disposal=disposal.name,
        order=disposal.sale_order,
        price=wire.money(disposal.price_fen),
        lines=lines_to_wire(disposal.lines, settled=True),
        beneficiary=disposal.beneficiary,
        surplus=wire.money(disposal.surplus_fen),
        claims=disposal.claims,
        shares=shares,
        **sides(lease),
    )


def _shares(funds: dict[str, int], closed: Sequence[Closed]) -> list[events.OwnerShare]:
    return [
        events.OwnerShare(
            owner=owner,
            amount=wire.money(amount_fen),
            numbers=[each.instalment.number for each in closed if each.instalment.owner == owner],
        )
        for owner, amount_fen in funds.items()
    ]


DISPOSAL_SETTLEMENT = SagaKind(
    kind="lease_disposal_settlement",
    steps=(
        Step("plan", call=_plan),
        Step("post", call=_post),
        Step("settle draws", call=_settle_draws, apply=_settle),
    ),
    answer=answer_disposal,
    on_refused=end_refused,
)
