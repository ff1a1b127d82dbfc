"""How far the machines of today differ from those a model was trained on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

SHARE_MIN = 1e-4  # an empty bin counts as this share, so that the index stays finite


def population_stability_index(expected: Sequence[float], actual: Sequence[float]) -> float:
    """Return Σ (actual − expected) · ln(actual ÷ expected) over the bins' shares (WE-20)."""
    expected_shares = np.maximum(np.asarray(expected, float), SHARE_MIN)
    actual_shares = np.maximum(np.asarray(actual, float), SHARE_MIN)
    differences = actual_shares - expected_shares
    return float(np.sum(differences * np.log(actual_shares / expected_shares)))


def quartile_edges(values: NDArray[np.float64]) -> list[float]:
    """Return the three inner edges that cut the known values into quarters."""
    return [float(edge) for edge in np.nanquantile(values, [0.25, 0.5, 0.75])]


def training_bins(values: NDArray[np.float64]) -> dict[str, list[float]]:
    """Return the edges of the training rows' quarters and the share in each bin.

    Values that occur often make the bins unequal, so the shares are kept and not assumed.
    """
    edges = quartile_edges(values)
    return {"edges": edges, "shares": bin_shares(values, edges)}


def bin_shares(values: NDArray[np.float64], edges: Sequence[float]) -> list[float]:
    """Return the share of the known values in each bin; all zero where none is known."""
    known = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(edges, known, side="right"), minlength=len(edges) + 1)
    return [float(share) for share in counts / max(1, len(known))]
