"""Listings as those who call see them, with their latest inspections."""

from collections.abc import Sequence

from ironloop.marketplace.v1 import listings_pb2

from services.kit.connection import Connection
from services.kit.principals import principal
from services.kit.transaction import Transaction
from services.marketplace import inspection_store
from services.marketplace.listing_model import Listing, seen_by
from services.marketplace.listing_wire import listing_to_wire


async def whole(tx: Transaction, listing: Listing) -> listings_pb2.Listing:
    """Return a listing as whoever changed it sees it."""
    inspections = await inspection_store.last_inspections(tx.connection, [listing.id])
    return listing_to_wire(seen_by(listing, principal()), inspections.get(listing.id))


async def seen(connection: Connection, rows: Sequence[Listing]) -> list[listings_pb2.Listing]:
    """Return listings as the caller sees them."""
    inspections = await inspection_store.last_inspections(connection, [row.id for row in rows])
    return [listing_to_wire(seen_by(row, principal()), inspections.get(row.id)) for row in rows]
