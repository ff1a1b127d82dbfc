"""The contract of liens: protobuf to arguments and back, nothing else."""

from datetime import UTC
from typing import Any

from ironloop.marketplace.v1 import machines_pb2

from services.kit import wire
from services.kit.database import Database
from services.kit.ids import parse_name
from services.kit.paging import Pages
from services.kit.principals import principal
from services.kit.requests import Commands
from services.kit.transaction import Transaction
from services.marketplace import lien_handlers, lien_store, machine_handlers
from services.marketplace.machine_wire import lien_to_wire


class LienRpc:
    """The part of MachineService that keeps liens."""

    _database: Database
    _commands: Commands
    _pages: Pages

    async def RegisterLien(
        self, request: machines_pb2.RegisterLienRequest, context: Any
    ) -> machines_pb2.Lien:
        """Register a lien."""

        async def work(tx: Transaction) -> machines_pb2.Lien:
            has_time = request.HasField("register_time")
            lien = await lien_handlers.register_lien(
                tx,
                parse_name(request.machine, "machines", field="machine"),
                holder=request.holder,
                reference=request.reference,
                registry_no=request.registry_no,
                secured_amount_fen=wire.fen(
                    request.secured_amount, field="secured_amount", positive=True
                ),
                purchase_money=request.purchase_money,
                register_time=request.register_time.ToDatetime(tzinfo=UTC) if has_time else None,
            )
            return lien_to_wire(lien)

        return await self._commands.run(request, work)

    async def ReleaseLien(
        self, request: machines_pb2.ReleaseLienRequest, context: Any
    ) -> machines_pb2.Lien:
        """Release a lien."""

        async def work(tx: Transaction) -> machines_pb2.Lien:
            return lien_to_wire(
                await lien_handlers.release_lien(tx, parse_name(request.name, "liens"))
            )

        return await self._commands.run(request, work)

    async def GetLien(
        self, request: machines_pb2.GetLienRequest, context: Any
    ) -> machines_pb2.Lien:
        """Return a lien."""
        lien_id = parse_name(request.name, "liens")
        async with self._database.read() as connection:
            return lien_to_wire(
                await lien_handlers.get_lien(connection, lien_id, viewer=principal())
            )

    async def ListLiens(
        self, request: machines_pb2.ListLiensRequest, context: Any
    ) -> machines_pb2.ListLiensResponse:
        """List the liens of a machine that the caller may see."""
        machine_id = parse_name(request.machine, "machines", field="machine")
        page = self._pages.open(request)
        (after,) = page.after or (0,)
        async with self._database.read() as connection:
            await machine_handlers.get_machine(connection, machine_id, viewer=principal())
            rows = await lien_store.list_liens(
                connection, machine_id, viewer=principal(), after=after, limit=page.limit + 1
            )
            active = await lien_store.active_liens(connection, [machine_id])
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.number,))
        ranked = {lien.id: lien for lien in active.get(machine_id, [])}
        return machines_pb2.ListLiensResponse(
            liens=[lien_to_wire(ranked.get(lien.id, lien)) for lien in kept],
            next_page_token=token,
        )
