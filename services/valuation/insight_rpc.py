"""The contract's questions about why: explanations, comparables and the index."""

from typing import Any

from ironloop.valuation.v1 import explanations_pb2

from ml.residual_value.model import ResidualValueModel
from services.kit.errors import InvalidArgument, NotFound
from services.kit.ids import parse_name
from services.kit.paging import Pages
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.valuation import insight_messages, nowcast_store, past_handlers
from services.valuation.insights import Insights
from services.valuation.model import Valuation
from services.valuation.nowcast_model import MonthSums, month_levels
from services.valuation.record import read_record
from services.valuation.registry import Registry

COMPARABLES_SHOWN = 10

pb = explanations_pb2


class InsightRpc:
    """The part of ValuationService that explains."""

    _runtime: Runtime
    _pages: Pages
    _registry: Registry
    _insights: Insights

    async def ExplainValuation(
        self, request: pb.ExplainValuationRequest, context: Any
    ) -> pb.Explanation:
        """Explain a valuation."""
        valuation = await self._valuation(request.valuation)
        explanation = await self._insights.explain(
            valuation, insight_messages.basis_from_wire(request.basis)
        )
        recorded = read_record(valuation.record)
        return insight_messages.explanation_to_wire(
            explanation,
            valuation=valuation.name,
            model=recorded.model,
            policy=recorded.policy,
        )

    async def ExplainMove(self, request: pb.ExplainMoveRequest, context: Any) -> pb.Explanation:
        """Explain why a valuation differs from an earlier one."""
        valuation = await self._valuation(request.valuation)
        former = await self._valuation(request.former, field="former")
        if (former.subject, former.party) != (valuation.subject, valuation.party):
            raise InvalidArgument(
                "former", "must be of the same machine and party as the valuation"
            )
        moved = await self._insights.explain_move(
            former, valuation, insight_messages.basis_from_wire(request.basis)
        )
        recorded = read_record(valuation.record)
        return insight_messages.explanation_to_wire(
            moved, valuation=valuation.name, model=recorded.model, policy=recorded.policy
        )

    async def ListComparables(
        self, request: pb.ListComparablesRequest, context: Any
    ) -> pb.ListComparablesResponse:
        """List the sales nearest to a valuation's machine."""
        page_size = request.page_size
        request.page_size = page_size or COMPARABLES_SHOWN
        page = self._pages.open(request)
        valuation = await self._valuation(request.valuation)
        found = await self._insights.nearest(valuation)
        first = 0 if page.after is None else int(page.after[0])
        ranked = list(enumerate(found, start=1))[first : first + page.limit + 1]
        kept, token = self._pages.cut(request, page, ranked, key=lambda one: (one[0],))
        return pb.ListComparablesResponse(
            comparables=[insight_messages.comparable_to_wire(one) for _, one in kept],
            next_page_token=token,
            synthetic=self._insights.comparables.synthetic,
            note=self._insights.comparables.note(len(found)),
        )

    async def GetIndexSeries(
        self, request: pb.GetIndexSeriesRequest, context: Any
    ) -> pb.IndexSeries:
        """Return the market index of a product group."""
        version = request.model.removeprefix("models/")
        present = self._registry.present.model
        model = self._registry.models.get(version) if version else present
        if model is None:
            raise NotFound(request.model)
        points, note = self._insights.indices.series_of(model, request.product_group)
        return pb.IndexSeries(
            product_group=request.product_group,
            model=f"models/{model.version}",
            points=insight_messages.index_points(points),
            nowcast=insight_messages.nowcast_points(await self._nowcast(model, request)),
            note=note,
        )

    async def _nowcast(
        self, model: ResidualValueModel, request: pb.GetIndexSeriesRequest
    ) -> list[MonthSums]:
        """Return how the sales after a model's window stand to what it said of them."""
        async with self._runtime.database.read() as connection:
            sums = await nowcast_store.list_sums(connection, model.version)
        return month_levels(
            one
            for one in sums
            if one.month > model.window_end and request.product_group in ("", one.product_group)
        )

    async def _valuation(self, resource: str, *, field: str = "valuation") -> Valuation:
        return await past_handlers.get_valuation(
            self._runtime.database,
            parse_name(resource, "valuations", field=field),
            viewer=principal(),
        )
