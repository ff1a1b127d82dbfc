"""Split-conformal offsets: what a quantile must give way so that it holds on later sales.

On the size of errors divided by their expected size (Lei and others 2018), both sides together.
Offsets are not by age band: one that jumps at the border of a band would make the value rise as a
machine gets older.
"""

import math

import numpy as np
from numpy.typing import NDArray


def conformal_rank(count: int, alpha: float) -> int:
    """Return which smallest of `count` scores bounds a new one with probability 1 − alpha.

    The rank is ceil((count + 1)(1 − alpha)), at most `count` (WE-20: 19, 0.1 → 18).
    """
    # Rounded first: (n + 1)(1 − α) that is whole on paper must not grow by a float's last bit.
    return min(count, math.ceil(round((count + 1) * (1.0 - alpha), 9)))


def conformal_offset(scores: NDArray[np.float64], alpha: float) -> float:
    """Return the score that a new one exceeds with probability of at most alpha."""
    return float(np.sort(scores)[conformal_rank(len(scores), alpha) - 1])
