"""What marketplace does with bidders' deposits; their money is at settlement."""

from uuid import UUID

from services.kit.ids import derived_request_id, name
from services.kit.principals import Principal
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.marketplace import auction_events, auction_handlers, auction_store, deposit_store
from services.marketplace.auction_errors import (
    AuctionOver,
    BidderIsSeller,
    BiddersFull,
    NoDepositNeeded,
)
from services.marketplace.auction_lifecycle import BID_DEPOSIT
from services.marketplace.auction_model import BIDDERS_MAX, LIVE, Auction
from services.marketplace.deposit_model import BidDeposit

PLACE_DEPOSIT = "place_deposit"


async def begin_placing(tx: Transaction, auction_id: UUID, *, viewer: Principal) -> Saga:
    """Begin to hold a bidder's deposit; one that is held already is answered as it is.

    Raises:
        NotFound, BidderIsSeller, NoDepositNeeded, AuctionOver, BiddersFull, SagaRunning: As they
            say.
    """
    bidder = viewer.require_party()
    auction = await auction_handlers.get_auction(tx.connection, auction_id)
    if bidder == auction.seller:
        raise BidderIsSeller(auction.name)
    if not auction.deposit_fen:
        raise NoDepositNeeded(auction.name)
    held = await deposit_store.find_of_bidder(tx.connection, auction_id, bidder=bidder)
    if held is None:
        _check_live(auction, tx)
        if await deposit_store.count_deposits(tx.connection, auction_id) >= BIDDERS_MAX:
            raise BiddersFull(auction.name, BIDDERS_MAX)
    # Of a bidder and an auction there is one, whatever the number of calls.
    deposit_id = derived_request_id(f"{auction.name}/{bidder}", "deposit")
    return await tx.start_saga(
        PLACE_DEPOSIT,
        name("bidDeposits", deposit_id),
        facts={
            "auction": auction.name,
            "bidder": bidder,
            "amount_fen": auction.deposit_fen,
            "is_there": held is not None,
        },
    )


async def write_held(tx: Transaction, deposit: BidDeposit) -> None:
    """Write a deposit that is held.

    Raises:
        AuctionOver: The auction has ended meanwhile.
    """
    auction = await auction_handlers.lock_auction(tx, deposit.auction_id)
    _check_live(auction, tx)
    told = await auction_store.update_auction(tx.connection, auction.told(), at=tx.now)
    await deposit_store.insert_deposit(tx.connection, deposit, sequence=told.event_sequence)
    await tx.emit(auction_events.deposit_held(told, deposit))


async def write_released(tx: Transaction, auction_id: UUID, *, but_of: str) -> None:
    """Write that an ended auction's deposits are the bidders' again; it gets no new ones."""
    auction = await auction_handlers.lock_auction(tx, auction_id)
    held = await deposit_store.list_held(tx.connection, auction_id, but_of=but_of)
    for deposit in held:
        auction = await write_end(tx, auction, deposit, command="release", order="")
    if held:
        await auction_store.update_auction(tx.connection, auction, at=tx.now)


async def write_end(
    tx: Transaction, auction: Auction, deposit: BidDeposit, *, command: str, order: str
) -> Auction:
    """Write what became of a deposit and tell of it; the caller writes the auction."""
    step = BID_DEPOSIT.next(deposit.state, command, subject=deposit.name)
    auction = auction.told()
    ended = await deposit_store.update_deposit(
        tx.connection, deposit, state=step.target, sequence=auction.event_sequence, at=tx.now
    )
    if command == "forfeit":
        await tx.emit(auction_events.deposit_forfeited(auction, ended, order=order))
    else:
        await tx.emit(auction_events.deposit_released(auction, ended))
    return auction


def _check_live(auction: Auction, tx: Transaction) -> None:
    if auction.state not in LIVE or tx.now >= auction.close_time:
        raise AuctionOver(auction.name, auction.close_time)
