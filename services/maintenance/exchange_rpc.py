"""The contract of exchanges: protobuf to arguments and back, nothing else."""

from typing import Any

from ironloop.maintenance.v1 import exchanges_pb2 as pb
from ironloop.maintenance.v1 import exchanges_pb2_grpc

from services.kit import wire
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.maintenance import exchange_handlers, exchange_store
from services.maintenance.exchange_wire import exchange_to_wire, waybill_from_wire


class ExchangeRpc(exchanges_pb2_grpc.ExchangeServiceServicer):
    """Serves ironloop.maintenance.v1.ExchangeService."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def RequestExchange(
        self, request: pb.RequestExchangeRequest, context: Any
    ) -> pb.Exchange:
        """Ask for a remanufactured unit."""

        async def begin(tx: Transaction) -> Saga:
            return await exchange_handlers.begin_request(
                tx,
                parse_name(request.work_order, "workOrders", field="work_order"),
                part_family=request.part_family,
                deposit_fen=(
                    wire.fen(request.deposit, field="deposit", positive=True)
                    if request.HasField("deposit")
                    else None
                ),
                position=request.position,
            )

        exchange: pb.Exchange = await self._commands.run_saga(request, begin)
        return exchange

    async def ShipExchange(self, request: pb.ShipExchangeRequest, context: Any) -> pb.Exchange:
        """Record that a unit was sent."""

        async def work(tx: Transaction) -> pb.Exchange:
            exchange = await exchange_handlers.ship(
                tx,
                parse_name(request.name, "exchanges"),
                etag=request.etag,
                waybill=waybill_from_wire(request.waybill),
            )
            return exchange_to_wire(await exchange_handlers.lock(tx, exchange.id))

        return await self._commands.run(request, work)

    async def CancelExchange(self, request: pb.CancelExchangeRequest, context: Any) -> pb.Exchange:
        """Give an exchange up."""

        async def begin(tx: Transaction) -> Saga:
            return await exchange_handlers.begin_cancel(
                tx,
                parse_name(request.name, "exchanges"),
                etag=request.etag,
                reason=request.reason,
            )

        exchange: pb.Exchange = await self._commands.run_saga(request, begin)
        return exchange

    async def GetExchange(self, request: pb.GetExchangeRequest, context: Any) -> pb.Exchange:
        """Return an exchange that the caller may see."""
        exchange_id = parse_name(request.name, "exchanges")
        return exchange_to_wire(
            await exchange_handlers.get_exchange(self._database, exchange_id, viewer=principal())
        )

    async def ListExchanges(
        self, request: pb.ListExchangesRequest, context: Any
    ) -> pb.ListExchangesResponse:
        """List the exchanges that the caller may see, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await exchange_store.list_exchanges(
                connection,
                viewer=principal(),
                work_order_id=(
                    parse_name(request.work_order, "workOrders", field="work_order")
                    if request.work_order
                    else None
                ),
                state=(
                    wire.enum_name(pb.ExchangeState, request.state, prefix="EXCHANGE_STATE_")
                    if request.state
                    else None
                ),
                after=page.after[0] if page.after else None,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.id,))
        return pb.ListExchangesResponse(
            exchanges=[exchange_to_wire(row) for row in kept], next_page_token=token
        )
