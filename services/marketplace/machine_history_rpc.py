"""The contract of what machines were: titles, custodies and components over time."""

from typing import Any

from ironloop.marketplace.v1 import components_pb2, machines_pb2

from services.kit.database import Database
from services.kit.ids import parse_name
from services.kit.paging import Pages
from services.kit.principals import principal
from services.marketplace import component_store, history_store, machine_handlers
from services.marketplace.component_wire import interval_to_wire
from services.marketplace.machine_wire import custody_to_wire, title_to_wire


class MachineHistoryRpc:
    """The part of MachineService that tells a machine's past."""

    _database: Database
    _pages: Pages

    async def ListTitleHistory(
        self, request: machines_pb2.ListTitleHistoryRequest, context: Any
    ) -> machines_pb2.ListTitleHistoryResponse:
        """List who held a title and when."""
        machine_id = parse_name(request.machine, "machines", field="machine")
        page = self._pages.open(request)
        (after,) = page.after or (0,)
        async with self._database.read() as connection:
            await machine_handlers.get_owned_machine(connection, machine_id, viewer=principal())
            rows = await history_store.list_titles(
                connection, machine_id, after=after, limit=page.limit + 1
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.number,))
        return machines_pb2.ListTitleHistoryResponse(
            intervals=[title_to_wire(interval) for interval in kept], next_page_token=token
        )

    async def ListCustodyHistory(
        self, request: machines_pb2.ListCustodyHistoryRequest, context: Any
    ) -> machines_pb2.ListCustodyHistoryResponse:
        """List who had a machine, how and when."""
        machine_id = parse_name(request.machine, "machines", field="machine")
        page = self._pages.open(request)
        (after,) = page.after or (0,)
        async with self._database.read() as connection:
            await machine_handlers.get_owned_machine(connection, machine_id, viewer=principal())
            rows = await history_store.list_custodies(
                connection, machine_id, after=after, limit=page.limit + 1
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.number,))
        return machines_pb2.ListCustodyHistoryResponse(
            intervals=[custody_to_wire(interval) for interval in kept], next_page_token=token
        )

    async def ListComponentHistory(
        self, request: components_pb2.ListComponentHistoryRequest, context: Any
    ) -> components_pb2.ListComponentHistoryResponse:
        """List what was installed in a machine and when."""
        machine_id = parse_name(request.machine, "machines", field="machine")
        page = self._pages.open(request)
        (after,) = page.after or (0,)
        async with self._database.read() as connection:
            await machine_handlers.get_owned_machine(connection, machine_id, viewer=principal())
            rows = await component_store.list_intervals(
                connection, machine_id, after=after, limit=page.limit + 1
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.number,))
        return components_pb2.ListComponentHistoryResponse(
            intervals=[interval_to_wire(interval) for interval in kept], next_page_token=token
        )
