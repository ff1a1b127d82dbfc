"""The SQL of search: only the conditions that are asked for, each order served by an index."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from services.kit.connection import Connection
from services.kit.paging import Key
from services.marketplace.listing_model import Listing, ListingOrder
from services.marketplace.listing_store import to_listing


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for; None, "" and () narrow nothing.

    Attributes:
        terms: Terms that all must stand in a listing.
    """

    order: ListingOrder
    equipment_class: str = ""
    make: str = ""
    model_prefix: str = ""
    build_year_min: int = 0
    build_year_max: int = 0
    hours_min: Decimal | None = None
    hours_max: Decimal | None = None
    ask_fen_min: int | None = None
    ask_fen_max: int | None = None
    format: str = ""
    region: str = ""
    terms: Sequence[str] = ()


# Order by column and id; a page goes on after the last row's (column, id).
_ORDERS = {
    ListingOrder.NEWEST: ("publish_time", "<", "desc"),
    ListingOrder.PRICE_LOWEST: ("ask_fen", ">", "asc"),
    ListingOrder.PRICE_HIGHEST: ("ask_fen", "<", "desc"),
    ListingOrder.HOURS_FEWEST: ("hours_meter", ">", "asc"),
    ListingOrder.YEAR_YOUNGEST: ("build_year", "<", "desc"),
}


def sort_key(listing: Listing, order: ListingOrder) -> Key:
    """Return the key after which the page that follows a listing begins."""
    values: dict[str, Any] = {
        "publish_time": listing.publish_time,
        "ask_fen": listing.content.ask_fen,
        "hours_meter": listing.machine.hours_meter,
        "build_year": listing.machine.build_year or 0,
    }
    return values[_ORDERS[order][0]], listing.id


def statement(search: Search, *, after: Key | None, limit: int) -> tuple[str, list[Any]]:
    """Return the query of a search and its arguments."""
    column, beyond, direction = _ORDERS[search.order]
    conditions, arguments = ["state = 'PUBLISHED'"], []

    def narrow(condition: str, value: Any) -> None:
        arguments.append(value)
        conditions.append(condition.replace("?", f"${len(arguments)}"))

    for condition, value in _filters(search):
        if value:
            narrow(condition, value)
    for condition, bound in _bounds(search):
        if bound is not None:
            narrow(condition, bound)
    if after is not None:
        arguments += after
        place = f"${len(arguments) - 1}, ${len(arguments)}"
        conditions.append(f"({column}, id) {beyond} ({place})")
    arguments.append(limit)
    return (
        f"select * from listing where {' and '.join(conditions)} "
        f"order by {column} {direction}, id {direction} limit ${len(arguments)}"
    ), arguments


async def search_listings(
    connection: Connection, search: Search, *, after: Key | None, limit: int
) -> list[Listing]:
    """Return published listings in the search's order, after a sort key."""
    sql, arguments = statement(search, after=after, limit=limit)
    return [to_listing(row) for row in await connection.fetch(sql, *arguments)]


def _filters(search: Search) -> list[tuple[str, Any]]:
    return [
        ("equipment_class = ?", search.equipment_class),
        ("upper(make) = upper(?)", search.make),
        ("upper(model) like upper(?)", _prefix(search.model_prefix)),
        ("build_year >= ?", search.build_year_min),
        ("build_year between 1 and ?", search.build_year_max),
        ("format = ?", search.format),
        ("upper(region) = upper(?)", search.region),
        ("search_terms @> ?::text[]", list(search.terms)),
    ]


def _bounds(search: Search) -> list[tuple[str, Any]]:
    return [
        ("hours_meter >= ?", search.hours_min),
        ("hours_meter <= ?", search.hours_max),
        ("ask_fen >= ?", search.ask_fen_min),
        ("ask_fen <= ?", search.ask_fen_max),
    ]


def _prefix(text: str) -> str:
    """Return a LIKE pattern of what begins with `text`."""
    if not text:
        return ""
    for special in ("\\", "%", "_"):
        text = text.replace(special, f"\\{special}")
    return f"{text}%"
