"""The contract of search: protobuf to arguments and back, nothing else."""

from decimal import Decimal
from typing import Any

from google.type import decimal_pb2, money_pb2
from ironloop.marketplace.v1 import listings_pb2

from services.kit import wire
from services.kit.database import Database
from services.kit.paging import Pages
from services.marketplace import search_store
from services.marketplace.hours_wire import hours_from_wire
from services.marketplace.listing_model import ListingOrder
from services.marketplace.listing_views import seen
from services.marketplace.machine_wire import class_of
from services.marketplace.search_words import query_terms


class SearchRpc:
    """The part of ListingService that searches."""

    _database: Database
    _pages: Pages

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
            listings = await seen(connection, kept)
        return listings_pb2.SearchListingsResponse(listings=listings, next_page_token=token)


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
