"""The contract of disposals: protobuf to arguments and back, nothing else."""

from decimal import Decimal
from typing import Any

from ironloop.leasing.v1 import disposals_pb2, disposals_pb2_grpc

from services.kit import wire
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.leasing import (
    clients,
    disposal_handlers,
    disposal_sagas,
    disposal_settlement,
    disposal_store,
)
from services.leasing.arguments import share
from services.leasing.disposal_model import Disposal, DisposalState
from services.leasing.ending_messages import disposal_to_wire, policy_to_wire

COST_RATE_MAX = Decimal("0.5")  # a typing error above it


class DisposalRpc(disposals_pb2_grpc.DisposalServiceServicer):
    """Serves ironloop.leasing.v1.DisposalService."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def OpenDisposal(
        self, request: disposals_pb2.OpenDisposalRequest, context: Any
    ) -> disposals_pb2.Disposal:
        """Open the disposal of a machine."""
        known: disposals_pb2.Disposal | None = await self._commands.find_answer(request)
        if known is not None:
            return known
        await clients.require_party(self._runtime.peers, request.carrier)
        has_rate, has_transport = request.HasField("cost_rate"), request.HasField("transport")

        async def first(tx: Transaction) -> Saga:
            return await disposal_sagas.begin_opening(
                tx,
                parse_name(request.lease, "leases", field="lease"),
                viewer=principal(),
                cost_rate=share(request.cost_rate, field="cost_rate", high=COST_RATE_MAX)
                if has_rate
                else Decimal(0),
                transport_fen=wire.fen(request.transport, field="transport")
                if has_transport
                else 0,
                carrier=request.carrier,
            )

        answer: disposals_pb2.Disposal = await self._commands.run_saga(request, first)
        return answer

    async def GetDisposal(
        self, request: disposals_pb2.GetDisposalRequest, context: Any
    ) -> disposals_pb2.Disposal:
        """Return a disposal."""
        return disposal_to_wire(await self._read(request.name))

    async def ListDisposals(
        self, request: disposals_pb2.ListDisposalsRequest, context: Any
    ) -> disposals_pb2.ListDisposalsResponse:
        """List disposals, the newest first."""
        page = self._pages.open(request)
        state = wire.enum_name(disposals_pb2.DisposalState, request.state, prefix="DISPOSAL_STATE_")
        async with self._database.read() as connection:
            rows = await disposal_store.list_disposals(
                connection,
                viewer=principal(),
                lease_id=parse_name(request.lease, "leases", field="lease")
                if request.lease
                else None,
                state=state if request.state else "",
                after=page.after,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(
            request, page, rows, key=lambda disposal: (disposal.create_time, disposal.id)
        )
        return disposals_pb2.ListDisposalsResponse(
            disposals=[disposal_to_wire(disposal) for disposal in kept], next_page_token=token
        )

    async def CancelDisposal(
        self, request: disposals_pb2.CancelDisposalRequest, context: Any
    ) -> disposals_pb2.Disposal:
        """Give a disposal up."""

        async def work(tx: Transaction) -> disposals_pb2.Disposal:
            disposal_id = parse_name(request.name, "disposals")
            return disposal_to_wire(
                await disposal_handlers.cancel_disposal(tx, disposal_id, viewer=principal())
            )

        return await self._commands.run(request, work)

    async def RecordUnsold(
        self, request: disposals_pb2.RecordUnsoldRequest, context: Any
    ) -> disposals_pb2.Disposal:
        """Note that a sale found no buyer."""

        async def work(tx: Transaction) -> disposals_pb2.Disposal:
            disposal_id = parse_name(request.name, "disposals")
            return disposal_to_wire(
                await disposal_handlers.record_unsold(tx, disposal_id, viewer=principal())
            )

        return await self._commands.run(request, work)

    async def SettleDisposal(
        self, request: disposals_pb2.SettleDisposalRequest, context: Any
    ) -> disposals_pb2.Disposal:
        """Distribute the price of a machine; done before for this order, it changes nothing."""
        known: disposals_pb2.Disposal | None = await self._commands.find_answer(request)
        if known is not None:
            return known
        disposal = await self._read(request.disposal)
        if disposal.state is DisposalState.SETTLED and disposal.sale_order == request.order:
            return disposal_to_wire(disposal)
        price_fen = wire.fen(request.price, field="price", positive=True)

        async def first(tx: Transaction) -> Saga:
            return await disposal_settlement.begin_settlement(
                tx,
                disposal.id,
                viewer=principal(),
                order=request.order,
                escrow=request.escrow_account,
                price_fen=price_fen,
            )

        answer: disposals_pb2.Disposal = await self._commands.run_saga(request, first)
        return answer

    async def GetDisposalPolicy(
        self, request: disposals_pb2.GetDisposalPolicyRequest, context: Any
    ) -> disposals_pb2.DisposalPolicy:
        """Return a version of the policy table."""
        version = request.name.removeprefix("disposalPolicies/")
        async with self._database.read() as connection:
            policy = await disposal_store.get_policy(
                connection, None if version == "current" else int(version)
            )
        return policy_to_wire(policy)

    async def PublishDisposalPolicy(
        self, request: disposals_pb2.PublishDisposalPolicyRequest, context: Any
    ) -> disposals_pb2.DisposalPolicy:
        """Publish the next version of the policy table."""
        steps = [
            (step.unsold_count, share(step.reserve_share, field=f"steps[{place}].reserve_share"))
            for place, step in enumerate(request.steps)
        ]

        async def work(tx: Transaction) -> disposals_pb2.DisposalPolicy:
            return policy_to_wire(await disposal_handlers.publish_policy(tx, steps))

        return await self._commands.run(request, work)

    async def _read(self, disposal: str) -> Disposal:
        """Return a disposal that the caller may see.

        Raises:
            NotFound: There is none.
        """
        async with self._database.read() as connection:
            return await disposal_store.get_disposal(
                connection, parse_name(disposal, "disposals"), viewer=principal()
            )
