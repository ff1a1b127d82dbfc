"""What procurement does with events of others: who wins an auction gets an order."""

from collections.abc import Mapping

from google.protobuf.message import Message
from ironloop.marketplace.v1 import marketplace_events_pb2

from services.kit import wire
from services.kit.consumer import EventHandler
from services.kit.transaction import Transaction
from services.procurement.win_sagas import begin_win


async def order_win(tx: Transaction, event: marketplace_events_pb2.AuctionClosed) -> None:
    """Begin the winner's order at the winning bid."""
    if not event.sold:
        return
    await begin_win(
        tx,
        auction=event.auction,
        listing=event.listing,
        winner=event.winner,
        high_fen=wire.fen(event.high, field="high", positive=True),
    )


CONSUMES: Mapping[type[Message], EventHandler] = {
    marketplace_events_pb2.AuctionClosed: order_win,
}
