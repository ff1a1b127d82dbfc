"""Deposits of bidders across services: held when placed, released when the auction has ended."""

from google.protobuf.message import Message
from ironloop.settlement.v1 import settlement_pb2

from services.kit.ids import parse_name
from services.kit.postings import open_account, open_wallets, post_each
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step, until_done
from services.kit.transaction import Transaction
from services.marketplace import deposit_handlers, deposit_legs, deposit_store
from services.marketplace.auction_closing import RELEASE_DEPOSITS
from services.marketplace.auction_wire import deposit_to_wire
from services.marketplace.deposit_model import BidDeposit, DepositState


async def hold(runtime: Runtime, saga: Saga) -> Facts:
    """Hold the deposit in the bidder's wallet.

    Raises:
        InsufficientFunds, TransferRefused: Nothing is held.
    """
    if saga.facts["is_there"]:
        return {}
    bidder, auction = saga.facts["bidder"], saga.facts["auction"]
    wallets = await open_wallets(runtime.peers, [bidder])
    account = await open_account(
        runtime.peers, settlement_pb2.ACCOUNT_KIND_BID_DEPOSIT, owner=bidder, reference=auction
    )
    leg = deposit_legs.hold(
        saga.fact_id("hold"),
        wallet=wallets[bidder],
        account=account,
        amount_fen=saga.facts["amount_fen"],
        auction=auction,
        bidder=bidder,
    )
    await post_each(runtime.peers, [leg], on_behalf_of=saga.actor)
    return {"account": account}


async def write_held(tx: Transaction, saga: Saga) -> None:
    """Write a deposit that is held.

    Raises:
        AuctionOver: The auction has ended meanwhile; the hold is taken back.
    """
    if saga.facts["is_there"]:
        return
    deposit = BidDeposit(
        id=parse_name(saga.subject, "bidDeposits"),
        version=1,
        auction_id=parse_name(saga.facts["auction"], "auctions"),
        bidder=saga.facts["bidder"],
        amount_fen=saga.facts["amount_fen"],
        state=DepositState.HELD,
        account=saga.facts["account"],
        transfer_id=saga.fact_id("hold"),
        auction_sequence=0,
        create_time=tx.now,
        update_time=tx.now,
    )
    await deposit_handlers.write_held(tx, deposit)


async def take_back(runtime: Runtime, saga: Saga) -> None:
    """Void the hold of a deposit that came too late."""
    leg = deposit_legs.void(
        saga.fact_id("take_back"),
        hold_id=saga.fact_id("hold"),
        amount_fen=saga.facts["amount_fen"],
        auction=saga.facts["auction"],
    )
    await post_each(runtime.peers, [leg])


async def answer_deposit(tx: Transaction, saga: Saga) -> Message:
    """Answer the bidder's deposit."""
    deposit = await deposit_store.find_of_bidder(
        tx.connection,
        parse_name(saga.facts["auction"], "auctions"),
        bidder=saga.facts["bidder"],
    )
    assert deposit is not None, "it has just been held"
    return deposit_to_wire(deposit)


async def release_held(runtime: Runtime, saga: Saga) -> Facts:
    """Void every hold of an ended auction but the winner's.

    Raises:
        HeldUp: Settlement refused; it is tried until it is done.
    """
    auction_id = parse_name(saga.subject, "auctions")
    async with runtime.database.read() as connection:
        held = await deposit_store.list_held(connection, auction_id, but_of=saga.facts["winner"])
    async with until_done("release of the deposits"):
        await post_each(
            runtime.peers,
            [deposit_legs.release(deposit, auction=saga.subject) for deposit in held],
        )
    return {}


async def write_released(tx: Transaction, saga: Saga) -> None:
    """Write that the deposits are the bidders' again."""
    await deposit_handlers.write_released(
        tx, parse_name(saga.subject, "auctions"), but_of=saga.facts["winner"]
    )


PLACING = SagaKind(
    deposit_handlers.PLACE_DEPOSIT,
    (Step("hold", call=hold, apply=write_held, undo=take_back),),
    answer=answer_deposit,
)
RELEASING = SagaKind(RELEASE_DEPOSITS, (Step("release", call=release_held, apply=write_released),))
