"""The contract of consents to junior liens: protobuf to arguments and back."""

from typing import Any

from ironloop.finance.v1 import subordinations_pb2 as pb

from services.finance import clients, subordination_handlers, subordination_store
from services.finance.rpc_base import RpcPart, found, state_name
from services.finance.subordination_model import Subordination
from services.kit import wire
from services.kit.etags import etag
from services.kit.ids import name, parse_name
from services.kit.principals import principal
from services.kit.transaction import Transaction


class SubordinationRpc(RpcPart):
    """The part of FinanceService about consents to junior liens."""

    async def ConsentSubordination(
        self, request: pb.ConsentSubordinationRequest, context: Any
    ) -> pb.Subordination:
        """Let another funder lend behind a draw."""
        funder = principal().require_party()
        senior_cap_fen = wire.fen(request.senior_cap, field="senior_cap", positive=True)
        expire_at = wire.to_instant(request.expire_time, field="expire_time")
        await clients.require_party(self._runtime, request.junior_funder)

        async def work(tx: Transaction) -> pb.Subordination:
            return _message(
                await subordination_handlers.consent(
                    tx,
                    parse_name(request.draw, "draws", field="draw"),
                    funder=funder,
                    junior_funder=request.junior_funder,
                    senior_cap_fen=senior_cap_fen,
                    expire_at=expire_at,
                )
            )

        return await self._commands.run(request, work)

    async def RevokeSubordination(
        self, request: pb.RevokeSubordinationRequest, context: Any
    ) -> pb.Subordination:
        """Take a consent back."""
        funder = principal().require_party()

        async def work(tx: Transaction) -> pb.Subordination:
            subordination_id = parse_name(request.name, "subordinations")
            return _message(
                await subordination_handlers.revoke(
                    tx, subordination_id, funder=funder, etag=request.etag
                )
            )

        return await self._commands.run(request, work)

    async def GetSubordination(
        self, request: pb.GetSubordinationRequest, context: Any
    ) -> pb.Subordination:
        """Return a consent."""
        subordination_id = parse_name(request.name, "subordinations")
        async with self._database.read() as connection:
            row = await subordination_store.find_subordination(
                connection, subordination_id, viewer=principal()
            )
        return _message(found(row, request.name))

    async def ListSubordinations(
        self, request: pb.ListSubordinationsRequest, context: Any
    ) -> pb.ListSubordinationsResponse:
        """List consents."""
        rows, token = await self._page(
            request,
            subordination_store.list_subordinations,
            viewer=principal(),
            state=state_name(pb.SubordinationState, request.state, "SUBORDINATION_STATE_"),
            machine=request.machine or None,
        )
        return pb.ListSubordinationsResponse(
            subordinations=[_message(row) for row in rows], next_page_token=token
        )


def _message(shown: Subordination) -> pb.Subordination:
    return pb.Subordination(
        name=shown.name,
        uid=str(shown.id),
        etag=etag(shown.version),
        event_sequence=shown.event_sequence,
        state=wire.enum_number(pb.SubordinationState, shown.state, prefix="SUBORDINATION_STATE_"),
        draw=name("draws", shown.senior_draw_id),
        machine=shown.machine,
        senior_funder=shown.senior_funder,
        junior_funder=shown.junior_funder,
        borrower=shown.borrower,
        senior_cap=wire.money(shown.senior_cap_fen),
        expire_time=wire.instant(shown.expire_at),
        junior_draw="" if shown.junior_draw_id is None else name("draws", shown.junior_draw_id),
        create_time=wire.instant(shown.create_time),
        update_time=wire.instant(shown.update_time),
    )
