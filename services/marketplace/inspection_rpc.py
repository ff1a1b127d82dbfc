"""The contract of inspections: protobuf to arguments and back, nothing else."""

from typing import Any

from ironloop.marketplace.v1 import inspections_pb2, listings_pb2

from services.kit import wire
from services.kit.database import Database
from services.kit.ids import parse_name
from services.kit.paging import Pages
from services.kit.principals import principal
from services.kit.requests import Commands
from services.kit.transaction import Transaction
from services.marketplace import inspection_store, listing_handlers
from services.marketplace.hours_wire import hours_from_wire
from services.marketplace.listing_views import whole
from services.marketplace.listing_wire import document_from_wire, grade_of, inspection_to_wire


class InspectionRpc:
    """The part of ListingService that inspects."""

    _database: Database
    _commands: Commands
    _pages: Pages

    async def RejectListing(
        self, request: listings_pb2.RejectListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Send a listing back."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing = await listing_handlers.reject_listing(
                tx,
                parse_name(request.name, "listings"),
                rejection_reason=request.rejection_reason,
                viewer=principal(),
            )
            return await whole(tx, listing)

        return await self._commands.run(request, work)

    async def RecordInspection(
        self, request: inspections_pb2.RecordInspectionRequest, context: Any
    ) -> inspections_pb2.Inspection:
        """Record an inspection."""

        async def work(tx: Transaction) -> inspections_pb2.Inspection:
            inspection = await listing_handlers.record_inspection(
                tx,
                parse_name(request.listing, "listings", field="listing"),
                inspected_on=wire.to_date(request.inspect_date, field="inspect_date"),
                grade=grade_of(request.grade),
                hours_meter=hours_from_wire(request.hours_meter, field="hours_meter"),
                report=document_from_wire(request.report),
                notes=request.notes,
                viewer=principal(),
            )
            return inspection_to_wire(inspection)

        return await self._commands.run(request, work)

    async def ListInspections(
        self, request: inspections_pb2.ListInspectionsRequest, context: Any
    ) -> inspections_pb2.ListInspectionsResponse:
        """List the inspections of a listing that the caller may see."""
        listing_id = parse_name(request.listing, "listings", field="listing")
        page = self._pages.open(request)
        (after,) = page.after or (None,)
        async with self._database.read() as connection:
            await listing_handlers.get_listing(connection, listing_id, viewer=principal())
            rows = await inspection_store.list_inspections(
                connection, listing_id, after=after, limit=page.limit + 1
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.id,))
        return inspections_pb2.ListInspectionsResponse(
            inspections=[inspection_to_wire(inspection) for inspection in kept],
            next_page_token=token,
        )
