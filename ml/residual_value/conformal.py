"""Split-conformal offsets: what a quantile must give way so that it holds on later sales.

Each side by itself, on errors divided by their expected size where a model has such a scale (Lei
and others 2018), else on quantile boosters (Romano, Patterson, Candès 2019). Offsets are by product
group and not by age band: an offset that jumps at the border of a band would make the value rise as
a machine gets older.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

GROUP_SALES_MIN = 50  # below it a group takes the pooled offset


def conformal_rank(count: int, alpha: float) -> int:
    """Return which smallest of `count` scores bounds a new one with probability 1 − alpha.

    The rank is ceil((count + 1)(1 − alpha)), at most `count` (WE-20: 19, 0.1 → 18).
    """
    # Rounded first: (n + 1)(1 − α) that is whole on paper must not grow by a float's last bit.
    return min(count, math.ceil(round((count + 1) * (1.0 - alpha), 9)))


def conformal_offset(scores: NDArray[np.float64], alpha: float) -> float:
    """Return the score that a new one exceeds with probability of at most alpha."""
    return float(np.sort(scores)[conformal_rank(len(scores), alpha) - 1])


def group_offsets(
    scores: NDArray[np.float64], groups: Sequence[str], *, alpha: float
) -> dict[str, float]:
    """Return an offset by group with enough sales, and the pooled one under ""."""
    labels = np.asarray(groups)
    offsets = {"": conformal_offset(scores, alpha)}
    for group in sorted(set(groups)):
        own = scores[labels == group]
        if len(own) >= GROUP_SALES_MIN:
            offsets[group] = conformal_offset(own, alpha)
    return offsets
