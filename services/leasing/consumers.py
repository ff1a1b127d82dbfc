"""What leasing learns from other services' events."""

from ironloop.maintenance.v1 import maintenance_events_pb2
from ironloop.marketplace.v1 import marketplace_events_pb2

from services.kit import wire
from services.kit.clock import business_date
from services.kit.ids import parse_name
from services.kit.transaction import Transaction
from services.leasing import disposal_handlers, meter_store


async def keep_hours(
    tx: Transaction, accepted: maintenance_events_pb2.MeterReadingAccepted
) -> None:
    """Keep the hours of a machine that maintenance accepted: excess hours are billed from them."""
    read_at = wire.to_instant(accepted.reading_time, field="reading_time")
    await meter_store.keep_accepted(
        tx.connection,
        accepted.machine,
        read_at=read_at,
        read_on=business_date(read_at),
        hours=wire.to_decimal(accepted.hours, field="hours"),
        reading=accepted.reading,
    )


async def note_auction(tx: Transaction, closed: marketplace_events_pb2.AuctionClosed) -> None:
    """Count an auction of a disposal that found no buyer; after two the reserve is lowered."""
    if closed.disposal and not closed.sold:
        disposal_id = parse_name(closed.disposal, "disposals", field="disposal")
        await disposal_handlers.note_unsold_auction(tx, disposal_id, machine=closed.machine)
