"""What stands behind a valuation: its explanation, comparable sales, and the market's index."""

import asyncio

from ml.residual_value.comparable_sales import read_own, read_shipped
from services.valuation.appraisal import Valuer
from services.valuation.comparables import Comparable, ComparableIndex
from services.valuation.explanation import Explainer, Explanation, ValueBasis
from services.valuation.indices import Indices, read_indices
from services.valuation.model import Valuation
from services.valuation.past_handlers import past_of
from services.valuation.registry import Registry
from services.valuation.settings import ValuationSettings
from services.valuation.value_moves import explain_move

EXPLAINERS_KEPT = 4  # a booster of its own each, some 10 MB


class Insights:
    """Answers why, beside what and when; nothing is written."""

    def __init__(self, registry: Registry, comparables: ComparableIndex, indices: Indices) -> None:
        self._registry = registry
        self.comparables = comparables
        self.indices = indices
        self._explainers: dict[tuple[str, str], Explainer] = {}

    async def explain(self, valuation: Valuation, of: ValueBasis) -> Explanation:
        """Return the reasons for a valuation's value.

        Raises:
            ModelNotKept, PolicyNotKept: What it was computed with is gone.
        """
        inputs, valuer = past_of(self._registry, valuation)
        return await asyncio.to_thread(lambda: self._explainer_of(valuer).explain(inputs, of))

    async def explain_move(
        self, former: Valuation, later: Valuation, of: ValueBasis
    ) -> Explanation:
        """Return the reasons for which a value is another than an earlier one.

        Raises:
            ModelNotKept, PolicyNotKept: What one was computed with is gone.
        """
        before, former_valuer = past_of(self._registry, former)
        after, valuer = past_of(self._registry, later)

        def explain() -> Explanation:
            return explain_move(
                self._explainer_of(former_valuer).reasons(before, of),
                self._explainer_of(valuer).reasons(after, of),
                of,
            )

        return await asyncio.to_thread(explain)

    async def nearest(self, valuation: Valuation) -> list[Comparable]:
        """Return the sales nearest to a valuation's machine.

        Raises:
            ModelNotKept, PolicyNotKept: What it was computed with is gone.
        """
        inputs, valuer = past_of(self._registry, valuation)
        return await asyncio.to_thread(
            lambda: self.comparables.nearest(self._explainer_of(valuer), valuer, inputs)
        )

    def _explainer_of(self, valuer: Valuer) -> Explainer:
        key = valuer.model.sha256, valuer.policy.sha256
        if key not in self._explainers:
            if len(self._explainers) >= EXPLAINERS_KEPT:
                self._explainers.pop(next(iter(self._explainers)))
            self._explainers[key] = Explainer(valuer)
        return self._explainers[key]


def load_insights(settings: ValuationSettings, registry: Registry) -> Insights:
    """Read the comparable sales and index series that the settings name.

    Raises:
        ComparablesRefused, IndicesRefused: A file is not what it should be.
    """
    if settings.comparables is None:
        sales = read_shipped(settings.shipped_comparables)
    else:
        sales = read_own(settings.comparables)
    return Insights(registry, ComparableIndex(sales), read_indices(settings.indices))
