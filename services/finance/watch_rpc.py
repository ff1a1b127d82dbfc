"""The contract of the collateral watch: protobuf to arguments and back, nothing else."""

import hashlib
from typing import Any

from ironloop.finance.v1 import finance_pb2, watch_pb2, watch_pb2_grpc

from services.finance import (
    collateral_handlers,
    cover_store,
    draw_store,
    facility_store,
    policy_store,
    revaluation_handlers,
    revaluation_store,
    shortfall_store,
    subordination_store,
    top_up_saga,
    watch_clients,
    watch_messages,
    watch_store,
)
from services.finance.borrowing_base import BorrowingBase, make_base
from services.finance.borrowing_base_files import to_csv, to_parquet
from services.finance.cover_model import cover_of
from services.finance.errors import CoverUnknown, TooManyLines
from services.finance.rpc_base import RpcPart, found, state_name
from services.kit import wire
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.sagas import Saga
from services.kit.transaction import Transaction

LINES_MAX = 5_000  # a few hundred bytes each, in one message


class WatchRpc(RpcPart, watch_pb2_grpc.WatchServiceServicer):
    """Serves ironloop.finance.v1.WatchService."""

    async def ListWatchlist(
        self, request: watch_pb2.ListWatchlistRequest, context: Any
    ) -> watch_pb2.ListWatchlistResponse:
        """List the draws to look after."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await watch_store.list_watched(
                connection,
                viewer=principal(),
                state=state_name(finance_pb2.CollateralState, request.state, "COLLATERAL_STATE_"),
                after=page.after,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(
            request, page, rows, key=lambda row: (row.loan_to_value, row.id)
        )
        return watch_pb2.ListWatchlistResponse(
            entries=[watch_messages.entry(row) for row in kept], next_page_token=token
        )

    async def GetCover(self, request: watch_pb2.GetCoverRequest, context: Any) -> watch_pb2.Cover:
        """Return how a draw is covered over the rest of its term."""
        draw_id = parse_name(request.draw, "draws", field="draw")
        async with self._database.read() as connection:
            draw = found(
                await draw_store.find_draw(connection, draw_id, viewer=principal()), request.draw
            )
            draw.require_outstanding()
            curve = await cover_store.find_curve(connection, draw.id)
            lines = await draw_store.list_instalments(connection, draw.id)
            others = await draw_store.list_live_draws(connection, draw.machine)
            seniors = await collateral_handlers.seniors_of(connection, draw, others)
        if curve is None:
            raise CoverUnknown(draw.name)
        return watch_messages.cover(draw, cover_of(draw, lines, curve, seniors=seniors))

    async def ListShortfalls(
        self, request: watch_pb2.ListShortfallsRequest, context: Any
    ) -> watch_pb2.ListShortfallsResponse:
        """List shortfalls of collateral."""
        rows, token = await self._page(
            request,
            shortfall_store.list_shortfalls,
            viewer=principal(),
            state=state_name(watch_pb2.ShortfallState, request.state, "SHORTFALL_STATE_"),
            draw_id=parse_name(request.draw, "draws", field="draw") if request.draw else None,
        )
        return watch_pb2.ListShortfallsResponse(
            shortfalls=[watch_messages.shortfall(row) for row in rows], next_page_token=token
        )

    async def ListRevaluations(
        self, request: watch_pb2.ListRevaluationsRequest, context: Any
    ) -> watch_pb2.ListRevaluationsResponse:
        """List revaluations."""
        rows, token = await self._page(
            request,
            revaluation_store.list_revaluations,
            viewer=principal(),
            state=state_name(watch_pb2.RevaluationState, request.state, "REVALUATION_STATE_"),
            machine=request.machine or None,
        )
        return watch_pb2.ListRevaluationsResponse(
            revaluations=[watch_messages.revaluation(row) for row in rows], next_page_token=token
        )

    async def RequestRevaluation(
        self, request: watch_pb2.RequestRevaluationRequest, context: Any
    ) -> watch_pb2.Revaluation:
        """Have the machine of a draw valued again."""
        funder = principal().require_party()

        async def work(tx: Transaction) -> watch_pb2.Revaluation:
            draw_id = parse_name(request.draw, "draws", field="draw")
            return watch_messages.revaluation(
                await revaluation_handlers.request(tx, draw_id, funder=funder)
            )

        return await self._commands.run(request, work)

    async def TopUpDraw(
        self, request: watch_pb2.TopUpDrawRequest, context: Any
    ) -> finance_pb2.Draw:
        """Top a draw's collateral up with cash."""
        borrower = principal().require_party()
        amount_fen = wire.fen(request.amount, field="amount", positive=True)

        async def begin(tx: Transaction) -> Saga:
            draw_id = parse_name(request.draw, "draws", field="draw")
            return await top_up_saga.begin(tx, draw_id, borrower=borrower, amount_fen=amount_fen)

        draw: finance_pb2.Draw = await self._commands.run_saga(request, begin)
        return draw

    async def ReleaseTopUp(
        self, request: watch_pb2.ReleaseTopUpRequest, context: Any
    ) -> finance_pb2.Draw:
        """Release the cash that a draw was topped up with."""
        borrower = principal().require_party()

        async def begin(tx: Transaction) -> Saga:
            draw_id = parse_name(request.draw, "draws", field="draw")
            return await top_up_saga.begin_release(tx, draw_id, borrower=borrower)

        draw: finance_pb2.Draw = await self._commands.run_saga(request, begin)
        return draw

    async def ExportBorrowingBase(
        self, request: watch_pb2.ExportBorrowingBaseRequest, context: Any
    ) -> watch_pb2.BorrowingBase:
        """Return a facility's borrowing base as a file."""
        base = await self._borrowing_base(request.facility)
        is_parquet = request.format == watch_pb2.BORROWING_BASE_FORMAT_PARQUET
        content = to_parquet(base) if is_parquet else to_csv(base)
        return watch_messages.borrowing_base(
            base,
            content,
            hashlib.sha256(content).hexdigest(),
            request.format or watch_pb2.BORROWING_BASE_FORMAT_CSV,
        )

    async def _borrowing_base(self, facility_name: str) -> BorrowingBase:
        facility_id = parse_name(facility_name, "facilities", field="facility")
        async with self._database.read() as connection:
            facility = found(
                await facility_store.find_facility(connection, facility_id, viewer=principal()),
                facility_name,
            )
            draws = await watch_store.list_outstanding(connection, facility_id, limit=LINES_MAX + 1)
            agreed = await subordination_store.list_agreed_liens(
                connection, [draw.id for draw in draws]
            )
            policy = await policy_store.current_policy(connection)
        if len(draws) > LINES_MAX:
            raise TooManyLines(facility.name, LINES_MAX)
        return make_base(
            facility,
            draws,
            await watch_clients.read_conditions(self._runtime, (draw.machine for draw in draws)),
            agreed=agreed,
            terms=policy.terms(facility.overrides),
            as_of=self._runtime.clock.today(),
        )
