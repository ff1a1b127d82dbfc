"""The contract of core returns: protobuf to arguments and back, nothing else."""

from typing import Any

from ironloop.remanufacturing.v1 import cores_pb2, cores_pb2_grpc

from services.kit import wire
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.remanufacturing import closing_handlers, core_handlers, core_store
from services.remanufacturing.core_model import Grade
from services.remanufacturing.core_wire import core_return_to_wire
from services.remanufacturing.figures_wire import hours_from_wire


class CoreRpc(cores_pb2_grpc.CoreServiceServicer):
    """Serves ironloop.remanufacturing.v1.CoreService."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def ChargeCoreDeposit(
        self, request: cores_pb2.ChargeCoreDepositRequest, context: Any
    ) -> cores_pb2.CoreReturn:
        """Take a deposit."""

        async def begin(tx: Transaction) -> Saga:
            return await core_handlers.begin_charge(
                tx,
                party=request.party,
                machine=request.machine,
                work_order=request.work_order,
                family_id=parse_name(request.part_family, "partFamilies", field="part_family"),
                stated_fen=(
                    wire.fen(request.deposit, field="deposit", positive=True)
                    if request.HasField("deposit")
                    else None
                ),
            )

        return await self._saga(request, begin)

    async def CancelCoreReturn(
        self, request: cores_pb2.CancelCoreReturnRequest, context: Any
    ) -> cores_pb2.CoreReturn:
        """Give a deposit back."""

        async def begin(tx: Transaction) -> Saga:
            return await closing_handlers.begin_cancellation(
                tx, parse_name(request.name, "coreReturns")
            )

        return await self._saga(request, begin)

    async def AuthoriseCoreReturn(
        self, request: cores_pb2.AuthoriseCoreReturnRequest, context: Any
    ) -> cores_pb2.CoreReturn:
        """Allow a core to be sent."""

        async def work(tx: Transaction) -> cores_pb2.CoreReturn:
            return core_return_to_wire(
                await core_handlers.authorise(
                    tx, parse_name(request.name, "coreReturns"), etag=request.etag
                )
            )

        return await self._commands.run(request, work)

    async def ReceiveCore(
        self, request: cores_pb2.ReceiveCoreRequest, context: Any
    ) -> cores_pb2.CoreReturn:
        """Take a core in."""

        async def work(tx: Transaction) -> cores_pb2.CoreReturn:
            return core_return_to_wire(
                await core_handlers.receive(
                    tx,
                    parse_name(request.name, "coreReturns"),
                    etag=request.etag,
                    part_number=request.part_number,
                    serial_number=request.serial_number,
                    hours=(
                        hours_from_wire(request.hours, field="hours")
                        if request.HasField("hours")
                        else None
                    ),
                )
            )

        return await self._commands.run(request, work)

    async def GradeCore(
        self, request: cores_pb2.GradeCoreRequest, context: Any
    ) -> cores_pb2.CoreReturn:
        """Grade a core."""

        async def work(tx: Transaction) -> cores_pb2.CoreReturn:
            return core_return_to_wire(
                await core_handlers.grade(
                    tx,
                    parse_name(request.name, "coreReturns"),
                    etag=request.etag,
                    grade=Grade(
                        wire.enum_name(cores_pb2.CoreGrade, request.grade, prefix="CORE_GRADE_")
                    ),
                    codes=request.codes,
                    note=request.note,
                    send_back=request.send_back,
                )
            )

        return await self._commands.run(request, work)

    async def ConfirmGrade(
        self, request: cores_pb2.ConfirmGradeRequest, context: Any
    ) -> cores_pb2.CoreReturn:
        """Confirm a grading."""

        async def work(tx: Transaction) -> cores_pb2.CoreReturn:
            return core_return_to_wire(
                await core_handlers.confirm_grade(
                    tx, parse_name(request.name, "coreReturns"), etag=request.etag
                )
            )

        return await self._commands.run(request, work)

    async def RejectCore(
        self, request: cores_pb2.RejectCoreRequest, context: Any
    ) -> cores_pb2.CoreReturn:
        """Send a core back."""

        async def begin(tx: Transaction) -> Saga:
            return await closing_handlers.begin_rejection(
                tx,
                parse_name(request.name, "coreReturns"),
                etag=request.etag,
                why=request.reason,
                freight_fen=wire.fen(request.return_freight, field="return_freight"),
            )

        return await self._saga(request, begin)

    async def GetCoreReturn(
        self, request: cores_pb2.GetCoreReturnRequest, context: Any
    ) -> cores_pb2.CoreReturn:
        """Return a core return that the caller may see."""
        return core_return_to_wire(
            await core_handlers.get_core_return(
                self._database, parse_name(request.name, "coreReturns"), viewer=principal()
            )
        )

    async def ListCoreReturns(
        self, request: cores_pb2.ListCoreReturnsRequest, context: Any
    ) -> cores_pb2.ListCoreReturnsResponse:
        """List the core returns that the caller may see, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await core_store.list_core_returns(
                connection,
                viewer=principal(),
                state=(
                    wire.enum_name(
                        cores_pb2.CoreReturnState, request.state, prefix="CORE_RETURN_STATE_"
                    )
                    if request.state
                    else None
                ),
                after=page.after[0] if page.after else None,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda found: (found.id,))
        return cores_pb2.ListCoreReturnsResponse(
            core_returns=[core_return_to_wire(found) for found in kept], next_page_token=token
        )

    async def _saga(self, request: Any, begin: Any) -> cores_pb2.CoreReturn:
        core_return: cores_pb2.CoreReturn = await self._commands.run_saga(request, begin)
        return core_return
