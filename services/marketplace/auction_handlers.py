"""What marketplace does with auctions, one transaction a command.

The machine is locked before the listing, and both before the auction. Timers of an auction are
never moved by a bid: the one that closes it looks when it fires whether the close has moved.
"""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from ironloop.options.v1 import options_pb2

from services.kit.connection import Connection
from services.kit.errors import NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id, parse_name
from services.kit.principals import Principal
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.marketplace import (
    auction_closing,
    auction_events,
    auction_store,
    custody_handlers,
    listing_store,
)
from services.marketplace.auction_errors import (
    AuctionLive,
    AuctionNotWon,
    FormatNotAuction,
    InvalidSteps,
)
from services.marketplace.auction_lifecycle import AUCTION
from services.marketplace.auction_model import (
    TAKES_BIDS,
    Auction,
    AuctionState,
    CancelReason,
    IncrementPolicy,
    IncrementStep,
    check_steps,
    check_times,
    deposit_of_ask,
)
from services.marketplace.lifecycle import LISTING
from services.marketplace.listing_closing import close_listing
from services.marketplace.listing_handlers import lock_any
from services.marketplace.listing_model import Listing, ListingFormat, ListingState
from services.marketplace.machine_model import Custody, Machine, MachineLifecycle, Reservation

OPEN_TIMER = "auction_opening"
CLOSE_TIMER = "auction_close"


async def create_auction(
    tx: Transaction,
    listing_id: UUID,
    *,
    open_time: datetime | None,
    close_time: datetime,
    reserve_fen: int | None,
    deposit: int | Decimal,
    viewer: Principal,
) -> Auction:
    """Schedule an auction of a published listing; it opens and closes by its timers.

    Args:
        open_time: None or past: now.
        deposit: An amount in fen, or a part of the listing's ask.

    Raises:
        NotFound, TransitionRefused, FormatNotAuction: As they say.
        AuctionLive: The listing has one, or its last one is won and has no order yet.
        InstantOutOfRange, InvalidDeposit: A time or the deposit is outside its limits.
    """
    listing = await _lock_to_sell(tx, listing_id, viewer=viewer)
    LISTING.next(listing.state, "auction", subject=listing.name)
    if listing.content.format is not ListingFormat.TIMED_AUCTION:
        raise FormatNotAuction(listing.name)
    last = await auction_store.find_last(tx.connection, listing_id)
    if last is not None and auction_closing.is_under_way(last):
        raise AuctionLive(last.name)
    assert listing.expire_time is not None
    open_time = max(open_time or tx.now, tx.now)
    check_times(open_time, close_time, now=tx.now, listing_ends=listing.expire_time)
    ask_fen = listing.content.ask_fen
    policy = await auction_store.policy_in_force(tx.connection)
    auction = Auction(
        id=new_id(),
        version=1,
        event_sequence=0,
        state=AuctionState.SCHEDULED,
        listing_id=listing_id,
        machine_id=listing.machine_id,
        seller=listing.seller,
        disposal=listing.disposal,
        open_time=open_time,
        close_time=close_time,
        scheduled_close_time=close_time,
        reserve_fen=reserve_fen,
        deposit_fen=deposit if isinstance(deposit, int) else deposit_of_ask(ask_fen, deposit),
        policy_version=policy.version,
        create_time=tx.now,
        update_time=tx.now,
    )
    if not await auction_store.insert_auction(tx.connection, auction):
        live = await auction_store.find_live(tx.connection, listing_id)
        raise AuctionLive(name("auctions", live) if live else "an auction")
    await tx.set_timer(OPEN_TIMER, auction.name, due_at=open_time)
    return auction


async def get_auction(connection: Connection, auction_id: UUID) -> Auction:
    """Return an auction, which everybody may see.

    Raises:
        NotFound: There is none.
    """
    auction = await auction_store.find_auction(connection, auction_id)
    if auction is None:
        raise NotFound(name("auctions", auction_id))
    return auction


async def cancel_auction(
    tx: Transaction, auction_id: UUID, *, etag: str, viewer: Principal
) -> Auction:
    """Give up an auction that has not opened.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
    """
    auction = await lock_auction(tx, auction_id)
    if not viewer.holds(options_pb2.ROLE_SERVICE) and viewer.party != auction.seller:
        raise NotFound(auction.name)
    check_etag(etag, auction.version)
    return await auction_closing.cancel(tx, auction, reason=CancelReason.SELLER)


async def open_when_due(tx: Transaction, timer: Timer) -> None:
    """Open an auction: it holds its machine from now on. It is given up where it cannot."""
    machine, listing, auction = await _lock_all(tx, timer)
    if auction.state is not AuctionState.SCHEDULED:
        return
    if listing.state is not ListingState.PUBLISHED:
        await auction_closing.cancel(tx, auction, reason=CancelReason.LISTING_CLOSED)
        return
    is_free = machine.custody is Custody.AVAILABLE
    if not is_free or machine.lifecycle is MachineLifecycle.SCRAPPED:
        await auction_closing.cancel(tx, auction, reason=CancelReason.MACHINE_NOT_AVAILABLE)
        return
    step = AUCTION.next(auction.state, "open", subject=auction.name)
    held_for = Reservation(auction.name, auction.seller, None)
    await custody_handlers.reserve(tx, machine, held_for)
    opened = await auction_store.update_auction(
        tx.connection, replace(auction.told(), state=step.target), at=tx.now
    )
    await tx.set_timer(CLOSE_TIMER, opened.name, due_at=opened.close_time)
    await tx.emit(auction_events.opened(opened))


async def close_when_due(tx: Transaction, timer: Timer) -> None:
    """Close an auction whose close has come; where a late bid has moved it, come back then."""
    machine, listing, auction = await _lock_all(tx, timer)
    if auction.state not in TAKES_BIDS:
        return
    if tx.now < auction.close_time:
        await tx.set_timer(CLOSE_TIMER, auction.name, due_at=auction.close_time)
        return
    command = "close_sold" if auction.reserve_met else "close_unsold"
    step = AUCTION.next(auction.state, command, subject=auction.name)
    unsold = await auction_store.count_unsold(tx.connection, auction)
    is_sold = step.target is AuctionState.CLOSED_SOLD
    closed = await auction_store.update_auction(
        tx.connection,
        replace(
            auction.told(),
            state=step.target,
            unsold_count=unsold if is_sold else unsold + 1,
        ),
        at=tx.now,
    )
    await tx.emit(auction_events.closed(closed))
    await auction_closing.begin_release(tx, closed)
    if not is_sold:
        await let_go(tx, machine, listing, closed)


async def let_go(tx: Transaction, machine: Machine, listing: Listing, auction: Auction) -> None:
    """End an auction's hold on its machine; a listing whose publication has run out ends too."""
    await custody_handlers.release(tx, machine, reference=auction.name)
    expired = listing.expire_time is not None and listing.expire_time <= tx.now
    if listing.state is ListingState.PUBLISHED and expired:
        await close_listing(tx, listing, "expire")


async def take_win(
    tx: Transaction, machine: Machine, listing: Listing, *, order: str, buyer: str
) -> tuple[Machine, int]:
    """Hand what the winner of a listing's last auction won over to its order.

    Returns the machine, which the auction holds no more, and the winning bid in fen.

    Raises:
        AuctionNotWon: The buyer has not won it, or has had its order.
    """
    last = await auction_store.find_last(tx.connection, listing.id)
    auction = await auction_store.lock_auction(tx.connection, last.id) if last else None
    is_open = auction is not None and not auction.order and not auction.is_settled
    if auction is None or not is_open or auction.winner != buyer:
        raise AuctionNotWon(listing.name, buyer)
    await auction_store.update_auction(tx.connection, replace(auction, order=order), at=tx.now)
    free = await custody_handlers.release(tx, machine, reference=auction.name)
    return free, auction.high_fen


async def publish_policy(
    tx: Transaction, steps: tuple[IncrementStep, ...], *, publisher: str
) -> IncrementPolicy:
    """Put a new table of increments in force for auctions made from now on.

    Raises:
        InvalidSteps: Its bounds do not rise, or its last line has one.
    """
    if not steps:
        raise InvalidSteps
    check_steps(steps)
    await auction_store.lock_policies(tx.connection)
    former = await auction_store.policy_in_force(tx.connection)
    policy = IncrementPolicy(former.version + 1, steps, publisher, tx.now)
    await auction_store.insert_policy(tx.connection, policy)
    return policy


async def lock_auction(tx: Transaction, auction_id: UUID) -> Auction:
    """Return an auction, locked.

    Raises:
        NotFound: There is none.
    """
    auction = await auction_store.lock_auction(tx.connection, auction_id)
    if auction is None:
        raise NotFound(name("auctions", auction_id))
    return auction


async def lock_whole(tx: Transaction, auction_id: UUID) -> tuple[Machine, Listing, Auction]:
    """Return an auction with its machine and listing, all locked.

    Raises:
        NotFound: There is none.
    """
    found = await get_auction(tx.connection, auction_id)
    machine, listing = await lock_any(tx, found.listing_id)
    return machine, listing, await lock_auction(tx, auction_id)


async def _lock_all(tx: Transaction, timer: Timer) -> tuple[Machine, Listing, Auction]:
    return await lock_whole(tx, parse_name(timer.subject, "auctions"))


async def _lock_to_sell(tx: Transaction, listing_id: UUID, *, viewer: Principal) -> Listing:
    """Return a listing, locked with its machine, that the caller may auction.

    Raises:
        NotFound: There is none, or it is another party's.
    """
    found = await listing_store.find_listing(tx.connection, listing_id)
    is_service = viewer.holds(options_pb2.ROLE_SERVICE)
    if found is None or not (is_service or found.seller == viewer.require_party()):
        raise NotFound(name("listings", listing_id))
    _, listing = await lock_any(tx, listing_id)
    return listing
