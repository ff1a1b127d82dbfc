"""The market index by product group with its standard error, for people to look at.

`python -m ml.residual_value.index_series --sales FILE --out FILE.json`. A hedonic regression of
each group by itself: log price on class, age, hours and month, the months' effects a random walk
as in `hedonic`. Standard errors are those of ridge regression, s²·diag(N⁻¹ XᵀX N⁻¹) with N the
penalised normal matrix, of a month's effect against the last one's.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.residual_value.features import PRODUCT_GROUPS
from ml.residual_value.hedonic import RIDGE, WALK_PENALTY, wear_terms
from ml.residual_value.sales import Sales, month_start, read_sales
from ml.residual_value.training import file_sha256

PLACES = 6

Vector = NDArray[np.float64]


def group_series(sales: Sales) -> list[tuple[int, float, float]]:
    """Return (month, log index against the last month, its standard error) of sales."""
    classes = sorted({facts.product_class for facts in sales.facts})
    place = {name: number for number, name in enumerate(classes)}
    first, last = int(sales.month.min()), int(sales.month.max())
    months = last - first + 1
    design = np.column_stack(
        [
            np.eye(len(classes))[[place[facts.product_class] for facts in sales.facts]],
            wear_terms(sales),
            np.eye(months)[sales.month - first],
        ]
    )
    gram = design.T @ design
    steps = np.diff(np.eye(months), axis=0)
    penalty = RIDGE * np.eye(design.shape[1])
    penalty[-months:, -months:] += WALK_PENALTY * steps.T @ steps
    inverse = np.linalg.inv(gram + penalty)
    solution = inverse @ design.T @ sales.log_price
    freedom = max(1.0, len(sales) - float(np.trace(inverse @ gram)))
    residuals = sales.log_price - design @ solution
    variance = float(residuals @ residuals) / freedom
    covariance = (variance * inverse @ gram @ inverse)[-months:, -months:]
    effects = solution[-months:]
    errors = np.diag(covariance) + covariance[-1, -1] - 2 * covariance[:, -1]
    return [
        (first + number, float(effects[number] - effects[-1]), float(np.sqrt(max(0.0, error))))
        for number, error in enumerate(errors)
    ]


def index_series(sales: Sales, *, sales_sha256: str) -> dict[str, Any]:
    """Return the series of every product group, and of all sales under ""."""
    groups = np.array([facts.product_group for facts in sales.facts])
    parts = {"": sales} | {
        group: sales.take(groups == group) for group in PRODUCT_GROUPS if (groups == group).any()
    }
    return {
        "sales_sha256": sales_sha256,
        "synthetic": sales.synthetic,
        "series": {group: _points(group_series(own)) for group, own in parts.items()},
    }


def _points(series: Sequence[tuple[int, float, float]]) -> list[list[Any]]:
    return [
        [month_start(month).isoformat(), round(log_index, PLACES), round(error, PLACES)]
        for month, log_index, error in series
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sales", type=Path, required=True, help="the sales, CSV or Parquet")
    parser.add_argument("--out", type=Path, required=True, help="JSON file of the series")
    given = parser.parse_args()
    content = index_series(read_sales(given.sales)[0], sales_sha256=file_sha256(given.sales))
    given.out.write_text(json.dumps(content, sort_keys=True, separators=(",", ":")) + "\n")
