"""Where prices stand in the months right after the sales: the index's trend, damped.

A trend of the last two years of the monthly index, least squares, continued with less of it each
month. It is kept apart from the boosters and from the index, and no valuation uses it.
"""

from collections.abc import Sequence

import numpy as np

TREND_MONTHS = 24  # trends over 6, 12 and 18 months gave larger biases in the rolling origins
TREND_MONTHS_MIN = 12  # fewer say nothing of a trend beside the season
SHARE_KEPT = 0.5  # of the trend, in the first month after the window
DAMPING = 0.9  # each later month keeps this share of the one before
MONTHS = 6  # beyond it the last one holds


def index_trend(index: Sequence[float]) -> float:
    """Return the slope a month of the last months of a log index; 0 where it is too short."""
    last = np.asarray(index[-TREND_MONTHS:], dtype=np.float64)
    if len(last) < TREND_MONTHS_MIN:
        return 0.0
    return float(np.polyfit(np.arange(len(last)), last, 1)[0])


def nowcast(slope: float) -> list[float]:
    """Return log prices beyond the index, by month after the window's last."""
    steps = SHARE_KEPT * slope * DAMPING ** np.arange(MONTHS)
    return [round(float(level), 6) for level in np.cumsum(steps)]
