"""The hedonic regression: one price index a month, price levels, and what age and hours take.

Least squares of log price on class, age and hours (piecewise linear) and month. The months'
effects follow a random walk (a penalty on their first differences), so that a month of six sales
leans on its neighbours. The last month is the index's base: what is sold after it is priced at it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml.residual_value.features import age_years, hours_feature
from ml.residual_value.sales import Sales

AGE_KNOTS = (2.0, 5.0, 8.0, 12.0, 16.0, 20.0, 30.0)
HOURS_KNOTS = (2_000.0, 5_000.0, 8_000.0, 12_000.0, 18_000.0)
WALK_PENALTY = 20.0  # 10 and 60 gave the same errors out of time within 0.0005
RIDGE = 1e-3

Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hedonic:
    """A fitted regression.

    Attributes:
        first_month: The month of `index[0]`.
        index: Log index by month, 0 at the last.
        class_levels: Log price of a new machine at the last month, by class.
        wear: Coefficients of `wear_terms`.
    """

    first_month: int
    index: Vector
    class_levels: dict[str, float]
    wear: Vector

    def index_of(self, months: NDArray[np.int64]) -> Vector:
        """Return the log index of months; the first and the last hold beyond the ends."""
        places = np.clip(months - self.first_month, 0, len(self.index) - 1)
        return self.index[places]

    def expected(self, sales: Sales) -> Vector:
        """Return log prices at the last month's index by class, age and hours alone."""
        mean_level = float(np.mean(list(self.class_levels.values())))
        levels = np.array(
            [self.class_levels.get(facts.product_class, mean_level) for facts in sales.facts]
        )
        return levels + wear_terms(sales) @ self.wear


def wear_terms(sales: Sales) -> Vector:
    """Return the piecewise-linear terms of age and hours, with a term for each being unknown."""
    age = np.array([age_years(facts.build_year, facts.on) for facts in sales.facts])
    hours = np.array([hours_feature(facts.hours_meter) for facts in sales.facts])
    return np.column_stack([*_hinges(age, AGE_KNOTS), *_hinges(hours, HOURS_KNOTS, scale=1000.0)])


def fit_hedonic(sales: Sales) -> Hedonic:
    """Fit the regression to sales."""
    classes = sorted({facts.product_class for facts in sales.facts})
    place = {product_class: number for number, product_class in enumerate(classes)}
    first, last = int(sales.month.min()), int(sales.month.max())
    wear = wear_terms(sales)
    parts = [
        _indicators([place[facts.product_class] for facts in sales.facts], len(classes)),
        wear,
        _indicators((sales.month - first).tolist(), last - first + 1),
    ]
    design = np.column_stack(parts)
    normal = design.T @ design + RIDGE * np.eye(design.shape[1])
    steps = np.diff(np.eye(last - first + 1), axis=0)
    start = len(classes) + wear.shape[1]
    normal[start:, start:] += WALK_PENALTY * steps.T @ steps
    solution = np.asarray(np.linalg.solve(normal, design.T @ sales.log_price), dtype=np.float64)
    months = solution[start:]
    return Hedonic(
        first_month=first,
        index=months - months[-1],
        class_levels={name: float(solution[number] + months[-1]) for name, number in place.items()},
        wear=solution[len(classes) : start],
    )


def _indicators(places: Sequence[int], width: int) -> Vector:
    matrix = np.zeros((len(places), width))
    matrix[np.arange(len(places)), places] = 1.0
    return matrix


def _hinges(values: Vector, knots: Sequence[float], *, scale: float = 1.0) -> list[Vector]:
    unknown = np.isnan(values)
    known = np.where(unknown, 0.0, values)
    return [
        known / scale,
        *(np.maximum(known - knot, 0.0) / scale for knot in knots),
        unknown.astype(float),
    ]
