"""An accepted order's settlement: one chain of transfers, then payoffs, titles, and it is settled.

Until the chain is posted a refusal blocks the order with its money in escrow; the next attempt is a
saga of its own and so has transfer ids of its own. An attempt that is not answered is repeated
under the same ids. After the chain is posted nothing is taken back: what is refused then is tried
until it is done, and reported as stuck.

The price of a disposal is distributed by leasing, by the claims on the machine; then this service
posts no more than the buyer's allowance, which stays in escrow until then.
"""

from collections.abc import Sequence
from dataclasses import asdict
from decimal import Decimal
from uuid import UUID

from ironloop.marketplace.v1 import machines_pb2
from ironloop.settlement.v1 import settlement_pb2

from services.kit.calendar import CHINA
from services.kit.clock import business_date
from services.kit.errors import DomainError
from services.kit.postings import Leg, open_account, open_wallets, post
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step, until_done
from services.kit.transaction import Transaction
from services.procurement import clients, order_store, policy_store
from services.procurement import settlement_handlers as handlers
from services.procurement.errors import LienWithoutPayoff, NotTheSellers
from services.procurement.order_handlers import SETTLE_ORDER
from services.procurement.order_model import (
    LienPayoff,
    Order,
    OrderLine,
    OrderSettlement,
    Payout,
    pay_by_disposal,
    pay_out,
)
from services.procurement.order_sagas import order_id_of


async def plan_payout(runtime: Runtime, saga: Saga) -> Facts:
    """Ask who must be paid, and compute every amount of the chain.

    Raises:
        NotTheSellers: The seller lost the title.
        LienWithoutPayoff: A lien is active that finance quotes no payoff for.
        PayoffsExceedPrice: The lien holders are owed more than the order brings.
        PeerRefused: Finance does not quote.
    """
    order = await _read(runtime, saga)
    machines = await clients.all_of(
        clients.get_machine(runtime, machine) for machine in order.machines
    )
    for machine in machines:
        if machine.facts.title_holder != order.seller:
            raise NotTheSellers(machine.facts.name, machine.facts.title_holder)
    if order.origin.disposal:
        payout = pay_by_disposal(order.total_fen, allowance_fen=order.allowance_fen)
    else:
        payout = await _plan(runtime, saga, order, machines)
    wallets = await open_wallets(runtime.peers, [order.seller, order.buyer])
    platform_fee = await open_account(runtime.peers, settlement_pb2.ACCOUNT_KIND_PLATFORM_FEE)
    return {
        "disposal": order.origin.disposal,
        "payout": asdict(payout),
        "accounts": {
            "escrow": order.escrow_account,
            "platform_fee": platform_fee,
            "seller": wallets[order.seller],
            "buyer": wallets[order.buyer],
        },
        "hours_meters": {
            machine.facts.name: str(machine.hours_meter)
            for machine in machines
            if machine.hours_meter is not None
        },
    }


async def pay(runtime: Runtime, saga: Saga) -> Facts:
    """Post journal J2 as one linked chain, or have leasing distribute a disposal's price.

    Raises:
        InsufficientFunds, TransferRefused, PeerRefused: Nothing moved.
        HeldUp: The price is distributed and the allowance refused; it is tried until it is done.
    """
    if disposal := saga.facts["disposal"]:
        await clients.settle_disposal(
            runtime,
            saga,
            disposal,
            order=saga.subject,
            escrow=saga.facts["accounts"]["escrow"],
            price_fen=_payout(saga).distributed_fen,
        )
        async with until_done("the buyer's allowance"):
            await post(runtime.peers, chain(saga), txn=saga.fact_id("txn"))
        return {}
    await post(runtime.peers, chain(saga), txn=saga.fact_id("txn"))
    return {}


async def settle_payoffs(runtime: Runtime, saga: Saga) -> Facts:
    """Tell finance of each payoff, so that it closes the draw and releases the lien.

    Raises:
        HeldUp: Finance refused; the lien holder has its money, so it is tried until it is done.
    """
    for payoff in _payout(saga).payoffs:
        async with until_done(f"payoff of {payoff.draw}"):
            await clients.settle_payoff(
                runtime, saga, draw=payoff.draw, transfer_id=_payoff_id(saga, payoff)
            )
    return {}


async def move_titles(runtime: Runtime, saga: Saga) -> Facts:
    """Move each title to the buyer, and end the order's hold on each machine.

    Raises:
        HeldUp: Marketplace refused; the seller has its money, so it is tried until it is done.
    """
    order = await _read(runtime, saga)
    for line in order.lines:
        async with until_done(f"title of {line.machine}"):
            await _move_title(runtime, saga, order, line)
    return {}


def chain(saga: Saga) -> list[Leg]:
    """Return the legs of journal J2."""
    payout = _payout(saga)
    accounts = saga.facts["accounts"]
    return [
        Leg(
            id=saga.fact_id("platform_fee"),
            debit=accounts["escrow"],
            credit=accounts["platform_fee"],
            amount_fen=payout.platform_fee_fen,
            code=settlement_pb2.TRANSFER_CODE_PLATFORM_FEE,
            purpose=saga.subject,
            payer=saga.subject,
        ),
        *(
            Leg(
                id=_payoff_id(saga, payoff),
                debit=accounts["escrow"],
                credit=payoff.account,
                amount_fen=payoff.amount_fen,
                code=settlement_pb2.TRANSFER_CODE_LIEN_PAYOFF,
                purpose=payoff.draw,  # finance recognises its payoff by it
                payer=saga.subject,
            )
            for payoff in payout.payoffs
        ),
        Leg(
            id=saga.fact_id("allowance"),
            debit=accounts["escrow"],
            credit=accounts["buyer"],
            amount_fen=payout.allowance_fen,
            code=settlement_pb2.TRANSFER_CODE_ALLOWANCE,
            purpose=saga.subject,
            payer=saga.subject,
        ),
        Leg(
            id=saga.fact_id("proceeds"),
            debit=accounts["escrow"],
            credit=accounts["seller"],
            amount_fen=payout.seller_proceeds_fen,
            code=settlement_pb2.TRANSFER_CODE_ESCROW_RELEASE,
            purpose=saga.subject,
            payer=saga.subject,
        ),
    ]


async def write_settled(tx: Transaction, saga: Saga) -> None:
    """Write that the order is settled."""
    await handlers.mark_settled(
        tx,
        order_id_of(saga),
        OrderSettlement(payout=_payout(saga), txn=saga.fact_id("txn"), settle_time=tx.now),
        hours_meters={
            machine: Decimal(hours) for machine, hours in saga.facts["hours_meters"].items()
        },
    )


async def write_blocked(tx: Transaction, saga: Saga, refusal: DomainError) -> None:
    """Write why settlement was refused."""
    await handlers.mark_blocked(tx, order_id_of(saga), refusal, calendar=CHINA)


async def _move_title(runtime: Runtime, saga: Saga, order: Order, line: OrderLine) -> None:
    """Do all of it that is not done: a machine that the order has let go of may be sold on."""
    await clients.transfer_title(
        runtime, saga, line.machine, order=order.name, seller=order.seller, buyer=order.buyer
    )
    if line.listing:
        await clients.complete_listing_sale(runtime, saga, line.listing, order=order.name)
    elif (await clients.get_machine(runtime, line.machine)).held_for == order.name:
        await clients.hand_over(
            runtime,
            saga,
            line.machine,
            order=order.name,
            custodian=order.buyer,
            custody=machines_pb2.CUSTODY_AVAILABLE,
        )


async def _plan(
    runtime: Runtime, saga: Saga, order: Order, machines: Sequence[clients.Machine]
) -> Payout:
    payoffs: list[LienPayoff] = []
    for machine in machines:
        payoffs += await _payoffs_of(runtime, saga, machine)
    async with runtime.database.read() as connection:
        policy = await policy_store.get_policy(connection, order.policy_version)
    return pay_out(
        order.total_fen,
        fee_rate=policy.platform_fee_rate,
        allowance_fen=order.allowance_fen,
        payoffs=payoffs,
    )


async def _payoffs_of(runtime: Runtime, saga: Saga, machine: clients.Machine) -> list[LienPayoff]:
    """Return what frees a machine of its liens; a machine without liens has no draw either."""
    if not machine.liens:
        return []
    # Finance takes a payoff as of the day of the transfer's id, which is the day of this saga.
    payoffs = await clients.quote_payoffs(
        runtime, machine.facts.name, as_of=business_date(saga.create_time)
    )
    covered = {payoff.lien for payoff in payoffs}
    for lien in machine.liens:
        if lien not in covered:
            raise LienWithoutPayoff(machine.facts.name, lien)
    return payoffs


async def _read(runtime: Runtime, saga: Saga) -> Order:
    async with runtime.database.read() as connection:
        order = await order_store.find_order(connection, order_id_of(saga), viewer=principal())
    assert order is not None, "a settlement's order exists"
    return order


def _payout(saga: Saga) -> Payout:
    stored = saga.facts["payout"]
    payoffs = tuple(LienPayoff(**payoff) for payoff in stored["payoffs"])
    return Payout(**{**stored, "payoffs": payoffs})


def _payoff_id(saga: Saga, payoff: LienPayoff) -> UUID:
    return saga.fact_id(f"payoff/{payoff.lien}")


SETTLEMENT_SAGA = SagaKind(
    SETTLE_ORDER,
    (
        Step("plan_payout", call=plan_payout),
        Step("pay", call=pay),
        Step("settle_payoffs", call=settle_payoffs),
        Step("move_titles", call=move_titles, apply=write_settled),
    ),
    on_refused=write_blocked,
)
