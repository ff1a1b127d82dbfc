"""How a win ends across services: its order is funded, or will not be.

The order's service asks for it. The winner's deposit is released or goes to the seller, and a
machine that the auction still holds, because no order took it over, is free again.
"""

from dataclasses import replace
from uuid import UUID

from google.protobuf.message import Message

from services.kit.ids import fact_id, parse_name
from services.kit.postings import open_wallets, post, post_each
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step, until_done
from services.kit.transaction import Transaction
from services.marketplace import (
    auction_handlers,
    auction_store,
    deposit_handlers,
    deposit_legs,
    deposit_store,
)
from services.marketplace.auction_errors import NotSold
from services.marketplace.auction_model import AuctionState
from services.marketplace.auction_wire import auction_to_wire
from services.marketplace.deposit_model import DepositState, WinOutcome
from services.marketplace.errors import HeldByOther

SETTLE_WIN = "settle_win"


async def begin_settling(
    tx: Transaction, auction_id: UUID, *, order: str, outcome: WinOutcome
) -> Saga:
    """Begin to end what a win holds; ended before, nothing changes.

    Raises:
        NotFound, SagaRunning: As they say.
        NotSold: Nobody has won it.
        HeldByOther: Another order has the win.
    """
    auction = await auction_handlers.get_auction(tx.connection, auction_id)
    if auction.state is not AuctionState.CLOSED_SOLD:
        raise NotSold(auction.name, auction.state.value)
    if auction.order not in {"", order}:
        raise HeldByOther(auction.name, holder=auction.order, asked=order)
    return await tx.start_saga(
        SETTLE_WIN, auction.name, facts={"order": order, "outcome": outcome.value}
    )


async def settle_deposit(runtime: Runtime, saga: Saga) -> Facts:
    """Release the winner's deposit, or pay it to the seller.

    Raises:
        HeldUp: Settlement refused; it is tried until it is done.
    """
    auction_id = parse_name(saga.subject, "auctions")
    async with runtime.database.read() as connection:
        auction = await auction_handlers.get_auction(connection, auction_id)
        deposit = await deposit_store.find_of_bidder(
            connection, auction_id, bidder=auction.high_bidder
        )
    if auction.is_settled or deposit is None or deposit.state is not DepositState.HELD:
        return {}
    if saga.facts["outcome"] != WinOutcome.DEFAULTED:
        async with until_done("release of the winner's deposit"):
            await post_each(runtime.peers, [deposit_legs.release(deposit, auction=auction.name)])
        return {}
    wallets = await open_wallets(runtime.peers, [auction.seller])
    async with until_done("forfeit of the winner's deposit"):
        await post(
            runtime.peers,
            deposit_legs.forfeit(deposit, auction, seller_wallet=wallets[auction.seller]),
            txn=fact_id(deposit.create_time, deposit.name, "txn"),
        )
    return {}


async def write_settled(tx: Transaction, saga: Saga) -> None:
    """Write how a win ended; where no order holds the machine it is free again."""
    auction_id = parse_name(saga.subject, "auctions")
    machine, listing, auction = await auction_handlers.lock_whole(tx, auction_id)
    if auction.is_settled:
        return
    defaulted = saga.facts["outcome"] == WinOutcome.DEFAULTED
    deposit = await deposit_store.find_of_bidder(
        tx.connection, auction_id, bidder=auction.high_bidder
    )
    if deposit is not None and deposit.state is DepositState.HELD:
        auction = await deposit_handlers.write_end(
            tx,
            auction,
            deposit,
            command="forfeit" if defaulted else "release",
            order=saga.facts["order"],
        )
    settled = await auction_store.update_auction(
        tx.connection, replace(auction, is_settled=True), at=tx.now
    )
    await auction_handlers.let_go(tx, machine, listing, settled)


async def answer_win(tx: Transaction, saga: Saga) -> Message:
    """Answer the auction as it is for a service."""
    auction = await auction_handlers.get_auction(
        tx.connection, parse_name(saga.subject, "auctions")
    )
    policies = await auction_store.get_policies(tx.connection, [auction.policy_version])
    return auction_to_wire(auction, policies[auction.policy_version], is_whole=True)


SETTLING = SagaKind(
    SETTLE_WIN, (Step("settle", call=settle_deposit, apply=write_settled),), answer=answer_win
)
