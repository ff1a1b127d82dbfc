"""What marketplace does with events of others: price guides follow the seller's valuations.

Values that others had made of a machine are theirs and guide nobody else.
"""

from collections.abc import Mapping
from dataclasses import replace

from google.protobuf.message import Message
from ironloop.valuation.v1 import valuation_events_pb2

from services.kit.consumer import EventHandler
from services.kit.ids import parse_name
from services.kit.transaction import Transaction
from services.marketplace import clients, listing_store

REVOKED = "REVOKED"


async def show_newest_value(tx: Transaction, event: valuation_events_pb2.ValuationIssued) -> None:
    """Make a seller's newest issued value the guide of its listings of the machine."""
    if not event.machine:
        return
    guide = clients.guide_of_event(event, at=tx.now)
    for listing in await listing_store.lock_guided(
        tx.connection, parse_name(event.machine, "machines"), seller=event.party
    ):
        present = listing.guide
        if present and (present.as_of, present.state) > (guide.as_of, guide.state):
            continue
        if present and present.valuation == guide.valuation:
            guide = replace(guide, value_time=present.value_time)
        if guide != present:
            await listing_store.update_listing(
                tx.connection, replace(listing, guide=guide), at=tx.now, announced=False
            )


async def strike_value(tx: Transaction, event: valuation_events_pb2.ValuationRevoked) -> None:
    """Show no longer as issued what valuation has taken back."""
    if not event.machine:
        return
    for listing in await listing_store.lock_guided(
        tx.connection, parse_name(event.machine, "machines"), seller=event.party
    ):
        if listing.guide and listing.guide.valuation == event.valuation:
            struck = replace(listing, guide=replace(listing.guide, state=REVOKED))
            await listing_store.update_listing(tx.connection, struck, at=tx.now, announced=False)


CONSUMES: Mapping[type[Message], EventHandler] = {
    valuation_events_pb2.ValuationIssued: show_newest_value,
    valuation_events_pb2.ValuationRevoked: strike_value,
}
