"""What marketplace does with events of others: a guide follows the state of its valuation.

Only the valuation that a guide came from counts. Others of the same machine may rest on overrides
of whoever asked for them, and are theirs.
"""

from collections.abc import Mapping
from dataclasses import replace

from google.protobuf.message import Message
from ironloop.valuation.v1 import valuation_events_pb2

from services.kit.consumer import EventHandler
from services.kit.ids import parse_name
from services.kit.transaction import Transaction
from services.marketplace import listing_store
from services.marketplace.listing_model import ISSUED, REVOKED


async def issue_guide(tx: Transaction, event: valuation_events_pb2.ValuationIssued) -> None:
    """Show a value as issued that was in review when it became a guide."""
    await _set_state(tx, event, ISSUED)


async def strike_guide(tx: Transaction, event: valuation_events_pb2.ValuationRevoked) -> None:
    """Show no longer as issued what valuation has taken back."""
    await _set_state(tx, event, REVOKED)


async def _set_state(
    tx: Transaction,
    event: valuation_events_pb2.ValuationIssued | valuation_events_pb2.ValuationRevoked,
    state: str,
) -> None:
    if not event.machine:
        return
    machine_id = parse_name(event.machine, "machines")
    for listing in await listing_store.lock_guided(
        tx.connection, machine_id, valuation=event.valuation
    ):
        if listing.guide and listing.guide.state != state:
            changed = replace(listing, guide=replace(listing.guide, state=state))
            await listing_store.update_listing(tx.connection, changed, at=tx.now, announced=False)


CONSUMES: Mapping[type[Message], EventHandler] = {
    valuation_events_pb2.ValuationIssued: issue_guide,
    valuation_events_pb2.ValuationRevoked: strike_guide,
}
