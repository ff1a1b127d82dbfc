"""The contract of faults: protobuf to arguments and back, nothing else."""

from typing import Any

from ironloop.maintenance.v1 import faults_pb2, faults_pb2_grpc

from services.kit.errors import NotFound
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.maintenance import fault_handlers, fault_store, machine_clients, machine_store
from services.maintenance.errors import SimulationDisabled
from services.maintenance.fault_wire import fault_to_wire, simulated, wanted_of

pb = faults_pb2


class FaultRpc(faults_pb2_grpc.FaultServiceServicer):
    """Serves ironloop.maintenance.v1.FaultService."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def GetFault(self, request: pb.GetFaultRequest, context: Any) -> pb.Fault:
        """Return a fault."""
        async with self._database.read() as connection:
            fault = await fault_store.find_fault_seen(
                connection, parse_name(request.name, "faults"), viewer=principal()
            )
        if fault is None:
            raise NotFound(request.name)
        return fault_to_wire(fault)

    async def ListFaults(
        self, request: pb.ListFaultsRequest, context: Any
    ) -> pb.ListFaultsResponse:
        """List the faults of a machine, or of all that the caller sees."""
        wanted = wanted_of(request)
        page = self._pages.open(request)
        (after,) = page.after or (None,)
        async with self._database.read() as connection:
            if wanted.machine_id is not None and not await machine_store.find_machine_seen(
                connection, wanted.machine_id, viewer=principal()
            ):
                raise NotFound(request.machine)
            rows = await fault_store.list_faults(
                connection, wanted, viewer=principal(), after=after, limit=page.limit + 1
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.id,))
        return pb.ListFaultsResponse(
            faults=[fault_to_wire(row) for row in kept], next_page_token=token
        )

    async def AcknowledgeFault(self, request: pb.AcknowledgeFaultRequest, context: Any) -> pb.Fault:
        """Note that somebody has seen a fault."""

        async def work(tx: Transaction) -> pb.Fault:
            return fault_to_wire(
                await fault_handlers.acknowledge(
                    tx, parse_name(request.name, "faults"), etag=request.etag, viewer=principal()
                )
            )

        return await self._commands.run(request, work)

    async def ClearFault(self, request: pb.ClearFaultRequest, context: Any) -> pb.Fault:
        """Clear a fault that was put right."""

        async def work(tx: Transaction) -> pb.Fault:
            return fault_to_wire(
                await fault_handlers.clear(
                    tx, parse_name(request.name, "faults"), etag=request.etag, viewer=principal()
                )
            )

        return await self._commands.run(request, work)

    async def SimulateFault(self, request: pb.SimulateFaultRequest, context: Any) -> pb.Fault:
        """Have a machine report a fault, in the local setting only."""
        if self._runtime.settings.environment != "local":
            raise SimulationDisabled
        machine_id = parse_name(request.machine, "machines", field="machine")
        await machine_clients.ensure_known(self._runtime, machine_id, viewer=principal())

        async def work(tx: Transaction) -> pb.Fault:
            return fault_to_wire(await fault_handlers.simulate(tx, simulated(request, at=tx.now)))

        return await self._commands.run(request, work)
