"""The contract of listings: protobuf to arguments and back, nothing else."""

from collections.abc import Sequence
from datetime import UTC
from decimal import Decimal
from typing import Any

from google.type import decimal_pb2, money_pb2
from ironloop.marketplace.v1 import (
    consents_pb2,
    inspections_pb2,
    listings_pb2,
    listings_pb2_grpc,
    offers_pb2,
)

from services.kit import wire
from services.kit.connection import Connection
from services.kit.errors import NotFound
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.marketplace import (
    consent_handlers,
    import_handlers,
    import_model,
    import_wire,
    inspection_store,
    listing_handlers,
    listing_store,
    offer_handlers,
    offer_store,
    order_handlers,
    publishing_sagas,
    search_store,
)
from services.marketplace.consent_model import TEXTS
from services.marketplace.hours_wire import hours_from_wire
from services.marketplace.lifecycle import LISTING
from services.marketplace.listing_model import Listing, ListingOrder, seen_by
from services.marketplace.listing_wire import (
    consent_text_to_wire,
    consent_to_wire,
    content_from_wire,
    document_from_wire,
    grade_of,
    guide_to_wire,
    inspection_to_wire,
    listing_to_wire,
    offer_to_wire,
    purpose_of,
)
from services.marketplace.machine_wire import class_of
from services.marketplace.search_words import query_terms


class ListingRpc(listings_pb2_grpc.ListingServiceServicer):
    """Serves ironloop.marketplace.v1.ListingService."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def CreateListing(
        self, request: listings_pb2.CreateListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Draft a listing."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing = await listing_handlers.create_listing(
                tx,
                parse_name(request.machine, "machines", field="machine"),
                content_from_wire(request.content, field="content"),
                reference=request.reference,
                disposal=request.disposal,
                viewer=principal(),
            )
            return listing_to_wire(listing, None)

        return await self._commands.run(request, work)

    async def ImportListings(
        self, request: listings_pb2.ImportListingsRequest, context: Any
    ) -> listings_pb2.ImportListingsResponse:
        """Draft or correct many listings of the caller's party."""
        caller = principal()
        rows = [import_wire.listing_row(row) for row in request.rows]
        reports = await self._database.run(
            lambda tx: import_handlers.import_listings(tx, rows, viewer=caller)
        )
        return listings_pb2.ImportListingsResponse(
            reports=import_wire.reports_to_wire(reports, [row.reference for row in request.rows]),
            **dict(import_model.counted(reports)),
        )

    async def GetListing(
        self, request: listings_pb2.GetListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Return what the caller sees of a listing."""
        listing_id = parse_name(request.name, "listings")
        async with self._database.read() as connection:
            listing, inspection = await listing_handlers.get_listing(
                connection, listing_id, viewer=principal()
            )
        return listing_to_wire(listing, inspection)

    async def ListListings(
        self, request: listings_pb2.ListListingsRequest, context: Any
    ) -> listings_pb2.ListListingsResponse:
        """List a party's listings."""
        viewer = principal()
        seller = request.seller if viewer.sees_all else viewer.require_party()
        state = (
            wire.enum_name(listings_pb2.ListingState, request.state, prefix="LISTING_STATE_")
            if request.state
            else None
        )
        page = self._pages.open(request)
        (after,) = page.after or (None,)
        limit = page.limit + 1
        async with self._database.read() as connection:
            rows = (
                await listing_store.list_of_seller(
                    connection, seller=seller, state=state, after=after, limit=limit
                )
                if seller
                else await listing_store.list_all(connection, state=state, after=after, limit=limit)
            )
            kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.id,))
            listings = await _seen(connection, kept)
        return listings_pb2.ListListingsResponse(listings=listings, next_page_token=token)

    async def ListInspectionQueue(
        self, request: listings_pb2.ListInspectionQueueRequest, context: Any
    ) -> listings_pb2.ListInspectionQueueResponse:
        """List submitted listings that wait for an inspection."""
        page = self._pages.open(request)
        (after,) = page.after or (None,)
        async with self._database.read() as connection:
            rows = await listing_store.list_submitted(
                connection, not_of=principal().party, after=after, limit=page.limit + 1
            )
            kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.id,))
            listings = await _seen(connection, kept)
        return listings_pb2.ListInspectionQueueResponse(listings=listings, next_page_token=token)

    async def SearchListings(
        self, request: listings_pb2.SearchListingsRequest, context: Any
    ) -> listings_pb2.SearchListingsResponse:
        """Search published listings."""
        search = search_of(request)
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await search_store.search_listings(
                connection, search, after=page.after, limit=page.limit + 1
            )
            kept, token = self._pages.cut(
                request, page, rows, key=lambda row: search_store.sort_key(row, search.order)
            )
            listings = await _seen(connection, kept)
        return listings_pb2.SearchListingsResponse(listings=listings, next_page_token=token)

    async def UpdateListing(
        self, request: listings_pb2.UpdateListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Replace the content of a draft."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing = await listing_handlers.update_listing(
                tx,
                parse_name(request.name, "listings"),
                content_from_wire(request.content, field="content"),
                etag=request.etag,
                viewer=principal(),
            )
            return await _whole(tx, listing)

        return await self._commands.run(request, work)

    async def RepriceListing(
        self, request: listings_pb2.RepriceListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Change an ask."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing = await listing_handlers.reprice_listing(
                tx,
                parse_name(request.name, "listings"),
                ask_fen=wire.fen(request.ask, field="ask", positive=True),
                price_override_reason=request.price_override_reason,
                etag=request.etag,
                viewer=principal(),
            )
            return await _whole(tx, listing)

        return await self._commands.run(request, work)

    async def SubmitListing(
        self, request: listings_pb2.SubmitListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Submit a draft."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing_id = parse_name(request.name, "listings")
            listing = await listing_handlers.submit_listing(
                tx, listing_id, etag=request.etag, viewer=principal()
            )
            return await _whole(tx, listing)

        return await self._commands.run(request, work)

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
            return await _whole(tx, listing)

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

    async def PublishListing(
        self, request: listings_pb2.PublishListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Publish a listing with the value that valuation gives."""
        listing_id = parse_name(request.name, "listings")
        listing: listings_pb2.Listing = await self._commands.run_saga(
            request,
            lambda tx: publishing_sagas.begin(
                tx, listing_id, etag=request.etag, viewer=principal()
            ),
        )
        return listing

    async def WithdrawListing(
        self, request: listings_pb2.WithdrawListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Take a listing back."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing_id = parse_name(request.name, "listings")
            listing = await listing_handlers.withdraw_listing(
                tx, listing_id, etag=request.etag, viewer=principal()
            )
            return await _whole(tx, listing)

        return await self._commands.run(request, work)

    async def GetPriceGuide(
        self, request: listings_pb2.GetPriceGuideRequest, context: Any
    ) -> listings_pb2.PriceGuide:
        """Return the price guide of a listing that the caller may see."""
        listing_id = parse_name(request.listing, "listings", field="listing")
        async with self._database.read() as connection:
            listing, _ = await listing_handlers.get_listing(
                connection, listing_id, viewer=principal()
            )
        if listing.guide is None:
            raise NotFound(f"the price guide of {listing.name}")
        return guide_to_wire(listing, listing.guide)

    async def MakeOffer(
        self, request: offers_pb2.MakeOfferRequest, context: Any
    ) -> offers_pb2.Offer:
        """Offer an amount for a listing."""

        async def work(tx: Transaction) -> offers_pb2.Offer:
            has_time = request.HasField("expire_time")
            offer = await offer_handlers.make_offer(
                tx,
                parse_name(request.listing, "listings", field="listing"),
                amount_fen=wire.fen(request.amount, field="amount", positive=True),
                expire_time=request.expire_time.ToDatetime(tzinfo=UTC) if has_time else None,
                viewer=principal(),
            )
            return offer_to_wire(offer)

        return await self._commands.run(request, work)

    async def AcceptOffer(
        self, request: offers_pb2.AcceptOfferRequest, context: Any
    ) -> offers_pb2.Offer:
        """Accept an offer."""

        async def work(tx: Transaction) -> offers_pb2.Offer:
            offer_id = parse_name(request.name, "offers")
            return offer_to_wire(
                await offer_handlers.accept_offer(
                    tx, offer_id, etag=request.etag, viewer=principal()
                )
            )

        return await self._commands.run(request, work)

    async def RejectOffer(
        self, request: offers_pb2.RejectOfferRequest, context: Any
    ) -> offers_pb2.Offer:
        """Refuse an offer."""

        async def work(tx: Transaction) -> offers_pb2.Offer:
            offer_id = parse_name(request.name, "offers")
            return offer_to_wire(
                await offer_handlers.reject_offer(
                    tx, offer_id, etag=request.etag, viewer=principal()
                )
            )

        return await self._commands.run(request, work)

    async def WithdrawOffer(
        self, request: offers_pb2.WithdrawOfferRequest, context: Any
    ) -> offers_pb2.Offer:
        """Take an offer back."""

        async def work(tx: Transaction) -> offers_pb2.Offer:
            offer_id = parse_name(request.name, "offers")
            return offer_to_wire(
                await offer_handlers.withdraw_offer(
                    tx, offer_id, etag=request.etag, viewer=principal()
                )
            )

        return await self._commands.run(request, work)

    async def GetOffer(self, request: offers_pb2.GetOfferRequest, context: Any) -> offers_pb2.Offer:
        """Return an offer to its buyer or seller."""
        offer_id = parse_name(request.name, "offers")
        async with self._database.read() as connection:
            offer = await offer_store.find_offer(connection, offer_id, viewer=principal())
        if offer is None:
            raise NotFound(request.name)
        return offer_to_wire(offer)

    async def ListOffers(
        self, request: offers_pb2.ListOffersRequest, context: Any
    ) -> offers_pb2.ListOffersResponse:
        """List offers made or got."""
        viewer = principal()
        page = self._pages.open(request)
        (after,) = page.after or (None,)
        limit = page.limit + 1
        async with self._database.read() as connection:
            if request.listing:
                rows = await offer_store.list_of_listing(
                    connection,
                    parse_name(request.listing, "listings", field="listing"),
                    viewer=viewer,
                    after=after,
                    limit=limit,
                )
            else:
                rows = await offer_store.list_of_buyer(
                    connection, viewer.party, after=after, limit=limit
                )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.id,))
        return offers_pb2.ListOffersResponse(
            offers=[offer_to_wire(offer) for offer in kept], next_page_token=token
        )

    async def PlaceBid(self, request: offers_pb2.PlaceBidRequest, context: Any) -> offers_pb2.Bid:
        """Refuse a bid: auctions are declared and not built."""

        async def work(tx: Transaction) -> offers_pb2.Bid:
            listing, _ = await listing_handlers.get_listing(
                tx.connection,
                parse_name(request.listing, "listings", field="listing"),
                viewer=principal(),
            )
            LISTING.next(listing.state, "place_bid", subject=listing.name)
            raise AssertionError("the lifecycle refuses every bid")

        return await self._commands.run(request, work)

    async def ReserveListing(
        self, request: listings_pb2.ReserveListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Hold a listing for an order."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing_id = parse_name(request.name, "listings")
            return await _whole(
                tx,
                await order_handlers.reserve_listing(
                    tx, listing_id, order=request.order, buyer=request.buyer
                ),
            )

        return await self._commands.run(request, work)

    async def ReleaseListing(
        self, request: listings_pb2.ReleaseListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Publish a listing again."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing_id = parse_name(request.name, "listings")
            return await _whole(
                tx, await order_handlers.release_listing(tx, listing_id, order=request.order)
            )

        return await self._commands.run(request, work)

    async def CompleteListingSale(
        self, request: listings_pb2.CompleteListingSaleRequest, context: Any
    ) -> listings_pb2.Listing:
        """Mark a listing as sold."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing_id = parse_name(request.name, "listings")
            return await _whole(
                tx, await order_handlers.complete_sale(tx, listing_id, order=request.order)
            )

        return await self._commands.run(request, work)

    async def GrantConsent(
        self, request: consents_pb2.GrantConsentRequest, context: Any
    ) -> consents_pb2.Consent:
        """Give a consent for the caller's party."""

        async def work(tx: Transaction) -> consents_pb2.Consent:
            consent = await consent_handlers.grant_consent(
                tx,
                purpose_of(request.purpose),
                text_version=request.text_version,
                sha256=request.text_sha256,
                viewer=principal(),
            )
            return consent_to_wire(consent)

        return await self._commands.run(request, work)

    async def RevokeConsent(
        self, request: consents_pb2.RevokeConsentRequest, context: Any
    ) -> consents_pb2.Consent:
        """Take the consent of the caller's party back."""

        async def work(tx: Transaction) -> consents_pb2.Consent:
            purpose = purpose_of(request.purpose)
            return consent_to_wire(
                await consent_handlers.revoke_consent(tx, purpose, viewer=principal())
            )

        return await self._commands.run(request, work)

    async def GetConsent(
        self, request: consents_pb2.GetConsentRequest, context: Any
    ) -> consents_pb2.Consent:
        """Return a party's latest consent."""
        async with self._database.read() as connection:
            consent = await consent_handlers.get_consent(
                connection, request.party, purpose_of(request.purpose), viewer=principal()
            )
        return consent_to_wire(consent)

    async def GetConsentText(
        self, request: consents_pb2.GetConsentTextRequest, context: Any
    ) -> consents_pb2.ConsentText:
        """Return the text in force."""
        return consent_text_to_wire(TEXTS[purpose_of(request.purpose)])


def search_of(request: listings_pb2.SearchListingsRequest) -> search_store.Search:
    """Return what a request searches for.

    Raises:
        InvalidArgument: A bound is outside its limits.
    """
    order = (
        wire.enum_name(listings_pb2.ListingOrder, request.order, prefix="LISTING_ORDER_")
        if request.order
        else ListingOrder.NEWEST
    )
    form = wire.enum_name(listings_pb2.ListingFormat, request.format, prefix="LISTING_FORMAT_")
    return search_store.Search(
        order=ListingOrder(order),
        equipment_class=class_of(request.equipment_class) if request.equipment_class else "",
        make=request.make.strip(),
        model_prefix=request.model_prefix.strip(),
        build_year_min=request.build_year_min,
        build_year_max=request.build_year_max,
        hours_min=_hours(request, "hours_min", request.hours_min),
        hours_max=_hours(request, "hours_max", request.hours_max),
        ask_fen_min=_fen(request, "ask_min", request.ask_min),
        ask_fen_max=_fen(request, "ask_max", request.ask_max),
        format=form if request.format else "",
        region=request.region.strip(),
        terms=query_terms(request.text),
    )


def _hours(
    request: listings_pb2.SearchListingsRequest, field: str, value: decimal_pb2.Decimal
) -> Decimal | None:
    return hours_from_wire(value, field=field) if request.HasField(field) else None  # type: ignore[arg-type]  # one of its fields


def _fen(
    request: listings_pb2.SearchListingsRequest, field: str, value: money_pb2.Money
) -> int | None:
    return wire.fen(value, field=field) if request.HasField(field) else None  # type: ignore[arg-type]  # one of its fields


async def _whole(tx: Transaction, listing: Listing) -> listings_pb2.Listing:
    """Return a listing as whoever changed it sees it."""
    inspections = await inspection_store.last_inspections(tx.connection, [listing.id])
    return listing_to_wire(seen_by(listing, principal()), inspections.get(listing.id))


async def _seen(connection: Connection, rows: Sequence[Listing]) -> list[listings_pb2.Listing]:
    inspections = await inspection_store.last_inspections(connection, [row.id for row in rows])
    return [listing_to_wire(seen_by(row, principal()), inspections.get(row.id)) for row in rows]
