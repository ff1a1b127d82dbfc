"""The contract of machines: protobuf to arguments and back, nothing else."""

from collections.abc import Sequence
from typing import Any

from ironloop.marketplace.v1 import components_pb2, machines_pb2, machines_pb2_grpc

from services.kit import wire
from services.kit.connection import Connection
from services.kit.errors import InvalidArgument
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.marketplace import (
    component_handlers,
    component_store,
    custody_handlers,
    import_handlers,
    import_model,
    import_wire,
    inspection_store,
    lien_store,
    machine_handlers,
    machine_store,
)
from services.marketplace.component_wire import component_from_wire
from services.marketplace.hours_wire import hours_from_wire
from services.marketplace.identity import identify
from services.marketplace.lien_rpc import LienRpc
from services.marketplace.listing_wire import condition_to_wire
from services.marketplace.machine_history_rpc import MachineHistoryRpc
from services.marketplace.machine_model import EquipmentClass, Facts, Machine, seen_by
from services.marketplace.machine_wire import (
    class_of,
    custody_of,
    facts_from_wire,
    machine_to_wire,
    scheme_of,
)


class MachineRpc(LienRpc, MachineHistoryRpc, machines_pb2_grpc.MachineServiceServicer):
    """Serves ironloop.marketplace.v1.MachineService."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def CreateMachine(
        self, request: machines_pb2.CreateMachineRequest, context: Any
    ) -> machines_pb2.Machine:
        """Register a machine of the caller's party."""

        async def work(tx: Transaction) -> machines_pb2.Machine:
            stated = request.facts
            machine = await machine_handlers.create_machine(
                tx,
                identify(
                    pin=stated.pin,
                    serial_number=stated.serial_number,
                    scheme=scheme_of(stated.id_scheme),
                ),
                facts_from_wire(stated, field="facts."),
                owner=principal().require_party(),
            )
            return machine_to_wire(machine, [], [])

        return await self._commands.run(request, work)

    async def ImportMachines(
        self, request: machines_pb2.ImportMachinesRequest, context: Any
    ) -> machines_pb2.ImportMachinesResponse:
        """Register or correct many machines of the caller's party."""
        owner = principal().require_party()
        rows = [import_wire.machine_row(row) for row in request.rows]
        reports = await self._database.run(
            lambda tx: import_handlers.import_machines(tx, rows, owner=owner)
        )
        keys = [import_wire.machine_row_key(row) for row in request.rows]
        return machines_pb2.ImportMachinesResponse(
            reports=import_wire.reports_to_wire(reports, keys),
            **dict(import_model.counted(reports)),
        )

    async def GetMachine(
        self, request: machines_pb2.GetMachineRequest, context: Any
    ) -> machines_pb2.Machine:
        """Return what the caller sees of a machine."""
        machine_id = parse_name(request.name, "machines")
        until = None
        if request.HasField("condition_as_of"):
            until = wire.to_date(request.condition_as_of, field="condition_as_of")
        async with self._database.read() as connection:
            machine, liens = await machine_handlers.get_machine(
                connection, machine_id, viewer=principal()
            )
            components = await component_store.components_of(connection, [machine_id])
            inspection = await inspection_store.find_last_inspection(
                connection, machine_id, until=until
            )
        message = machine_to_wire(machine, liens, components[machine_id])
        if inspection is not None:
            message.condition.CopyFrom(condition_to_wire(inspection))
        return message

    async def ListMachines(
        self, request: machines_pb2.ListMachinesRequest, context: Any
    ) -> machines_pb2.ListMachinesResponse:
        """List machines by title or custody."""
        viewer = principal()
        party = request.party if viewer.sees_all else viewer.require_party()
        page = self._pages.open(request)
        (after,) = page.after or (None,)
        list_by = (
            machine_store.list_by_custody
            if request.relation == machines_pb2.MACHINE_RELATION_CUSTODY
            else machine_store.list_by_title
        )
        limit = page.limit + 1
        async with self._database.read() as connection:
            rows = (
                await list_by(connection, party=party, after=after, limit=limit)
                if party
                else await machine_store.list_all(connection, after=after, limit=limit)
            )
            kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.id,))
            machines = await _seen(connection, kept)
        return machines_pb2.ListMachinesResponse(machines=machines, next_page_token=token)

    async def UpdateMachine(
        self, request: machines_pb2.UpdateMachineRequest, context: Any
    ) -> machines_pb2.Machine:
        """Correct facts of a machine."""

        async def work(tx: Transaction) -> machines_pb2.Machine:
            machine = await machine_handlers.update_machine(
                tx,
                parse_name(request.name, "machines"),
                _facts_of_update(request),
                paths=request.update_mask.paths,
                etag=request.etag,
                viewer=principal(),
            )
            return await _whole(tx, machine)

        return await self._commands.run(request, work)

    async def ScrapMachine(
        self, request: machines_pb2.ScrapMachineRequest, context: Any
    ) -> machines_pb2.Machine:
        """Take a machine out of use."""

        async def work(tx: Transaction) -> machines_pb2.Machine:
            machine_id = parse_name(request.name, "machines")
            machine = await machine_handlers.scrap_machine(
                tx, machine_id, etag=request.etag, viewer=principal()
            )
            return await _whole(tx, machine)

        return await self._commands.run(request, work)

    async def ReserveMachine(
        self, request: machines_pb2.ReserveMachineRequest, context: Any
    ) -> machines_pb2.Machine:
        """Hold a machine until an instant."""

        async def work(tx: Transaction) -> machines_pb2.Machine:
            machine = await custody_handlers.reserve_machine(
                tx,
                parse_name(request.name, "machines"),
                reference=request.reference,
                party=request.party,
                expire_time=wire.to_instant(request.expire_time, field="expire_time"),
            )
            return await _whole(tx, machine)

        return await self._commands.run(request, work)

    async def ReleaseMachine(
        self, request: machines_pb2.ReleaseMachineRequest, context: Any
    ) -> machines_pb2.Machine:
        """End a hold."""

        async def work(tx: Transaction) -> machines_pb2.Machine:
            machine_id = parse_name(request.name, "machines")
            machine = await custody_handlers.release_machine(
                tx, machine_id, reference=request.reference
            )
            return await _whole(tx, machine)

        return await self._commands.run(request, work)

    async def HandOverMachine(
        self, request: machines_pb2.HandOverMachineRequest, context: Any
    ) -> machines_pb2.Machine:
        """Hand a machine over."""

        async def work(tx: Transaction) -> machines_pb2.Machine:
            machine = await custody_handlers.hand_over(
                tx,
                parse_name(request.name, "machines"),
                custody=custody_of(request.custody),
                custodian=request.custodian,
                reference=request.reference,
            )
            return await _whole(tx, machine)

        return await self._commands.run(request, work)

    async def TransferTitle(
        self, request: machines_pb2.TransferTitleRequest, context: Any
    ) -> machines_pb2.Machine:
        """Move a title."""

        async def work(tx: Transaction) -> machines_pb2.Machine:
            machine = await machine_handlers.transfer_title(
                tx,
                parse_name(request.name, "machines"),
                from_party=request.from_party,
                to_party=request.to_party,
                reference=request.reference,
            )
            return await _whole(tx, machine)

        return await self._commands.run(request, work)

    async def StartRemanufacture(
        self, request: machines_pb2.StartRemanufactureRequest, context: Any
    ) -> machines_pb2.Machine:
        """Begin a remanufacture."""

        async def work(tx: Transaction) -> machines_pb2.Machine:
            machine_id = parse_name(request.name, "machines")
            return await _whole(
                tx,
                await machine_handlers.remanufacture(tx, machine_id, command="start_remanufacture"),
            )

        return await self._commands.run(request, work)

    async def FinishRemanufacture(
        self, request: machines_pb2.FinishRemanufactureRequest, context: Any
    ) -> machines_pb2.Machine:
        """End a remanufacture."""

        async def work(tx: Transaction) -> machines_pb2.Machine:
            machine_id = parse_name(request.name, "machines")
            return await _whole(
                tx,
                await machine_handlers.remanufacture(
                    tx, machine_id, command="finish_remanufacture"
                ),
            )

        return await self._commands.run(request, work)

    async def RecordComponent(
        self, request: components_pb2.RecordComponentRequest, context: Any
    ) -> machines_pb2.Machine:
        """Record that a component was installed."""

        async def work(tx: Transaction) -> machines_pb2.Machine:
            machine = await component_handlers.record_component(
                tx,
                parse_name(request.machine, "machines", field="machine"),
                component_from_wire(request.component),
                reference=request.reference,
            )
            return await _whole(tx, machine)

        return await self._commands.run(request, work)


async def _whole(tx: Transaction, machine: Machine) -> machines_pb2.Machine:
    """Return a machine as whoever changed it sees it."""
    return (await _seen(tx.connection, [machine]))[0]


async def _seen(connection: Connection, rows: Sequence[Machine]) -> list[machines_pb2.Machine]:
    ids = [machine.id for machine in rows]
    liens = await lien_store.active_liens(connection, ids)
    components = await component_store.components_of(connection, ids)
    return [
        machine_to_wire(
            *seen_by(machine, liens.get(machine.id, []), principal()), components[machine.id]
        )
        for machine in rows
    ]


def _facts_of_update(request: machines_pb2.UpdateMachineRequest) -> Facts:
    """Return the facts of an update; those that its mask does not name are never read.

    Raises:
        InvalidArgument: Hours or replacement cost are outside their limits, or a class is cleared.
    """
    paths = set(request.update_mask.paths)
    hours = cost_fen = None
    if "hours_meter" in paths:
        hours = hours_from_wire(request.hours_meter, field="hours_meter")
    if "replacement_cost" in paths:
        cost_fen = wire.fen(request.replacement_cost, field="replacement_cost", positive=True)
    equipment_class = EquipmentClass.OTHER
    if "equipment_class" in paths:
        if not request.equipment_class:
            raise InvalidArgument("equipment_class", "must be stated where the mask names it")
        equipment_class = class_of(request.equipment_class)
    return Facts("", request.model, equipment_class, request.build_year or None, hours, cost_fen)
