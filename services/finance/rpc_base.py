"""What the parts of FinanceService share: pages, names and rows that must be there."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from services.kit import wire
from services.kit.errors import NotFound
from services.kit.ids import parse_name
from services.kit.runtime import Runtime

Found = TypeVar("Found")


class RpcPart:
    """A part of a service's rpcs, with what the runtime gives it."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def _page(
        self, request: Any, read: Callable[..., Awaitable[list[Any]]], **filters: Any
    ) -> tuple[Sequence[Any], str]:
        """Read one page, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await read(connection, **filters, after=page.after, limit=page.limit + 1)
        return self._pages.cut(request, page, rows, key=lambda row: (row.create_time, row.id))


def found(row: Found | None, resource: str) -> Found:
    """Return a row that must be there.

    Raises:
        NotFound: It is not, for this viewer.
    """
    if row is None:
        raise NotFound(resource)
    return row


def state_name(enum: wire.EnumWrapper, number: int, prefix: str) -> str | None:
    """Return the state that a filter names, or None where it names none."""
    return wire.enum_name(enum, number, prefix=prefix) if number else None


def facility_filter(facility: str) -> UUID | None:
    """Return the facility that a filter names, or None where it names none."""
    return parse_name(facility, "facilities", field="facility") if facility else None
