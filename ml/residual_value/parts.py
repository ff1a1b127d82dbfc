"""Whether the features can tell apart the parts that the data were put together from.

The parts carry different columns. A feature that marks a part would let a booster learn how the
parts differ instead of what a machine is worth, so a booster is trained to guess the part from the
features, dates aside, and its area under the ROC curve is reported (0.5: it can tell nothing).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ml.residual_value.booster import lightgbm
from ml.residual_value.features import BOOSTER_FEATURES, CATEGORICAL

ROUNDS = 60
SEED = 7
PARAMETERS = {
    "objective": "binary",
    "num_leaves": 15,
    "learning_rate": 0.1,
    "min_data_in_leaf": 50,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "seed": SEED,
    "verbose": -1,
}
NAMED = 3  # features that say most of a part, in the report
MARKED_AUC = 0.9  # from here on a part counts as marked

Vector = NDArray[np.float64]


def guess_parts(
    rows: Vector, parts: Sequence[str], features: Sequence[str] = BOOSTER_FEATURES
) -> dict[str, dict[str, object]]:
    """Return, by part, how well a booster tells its rows from the others, and by what.

    Half the rows train, the other half is guessed. Ages are cut to whole years: their fraction is
    the day of the sale.
    """
    seen = rows.copy()
    if "age_years" in features:
        place = list(features).index("age_years")
        seen[:, place] = np.floor(seen[:, place])
    labels = np.asarray(parts)
    half = np.random.default_rng(SEED).random(len(seen)) < 0.5
    found: dict[str, dict[str, object]] = {}
    for part in sorted(set(parts)) if len(set(parts)) > 1 else []:
        own = (labels == part).astype(np.float64)
        dataset = lightgbm().Dataset(
            seen[half],
            own[half],
            feature_name=list(features),
            categorical_feature=[name for name in CATEGORICAL if name in features],
            params=PARAMETERS,
        )
        booster = lightgbm().train(PARAMETERS, dataset, ROUNDS)
        gains = booster.feature_importance("gain")
        most = np.argsort(-gains)[:NAMED].tolist()
        found[part] = {
            "auc": area_under_curve(booster.predict(seen[~half]), own[~half] > 0),
            "by": [features[place] for place in most],
        }
    return found


def marked_parts(found: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return the parts that the features mark."""
    return [part for part, guess in found.items() if float(str(guess["auc"])) >= MARKED_AUC]


def area_under_curve(scores: Vector, truth: NDArray[np.bool_]) -> float:
    """Return the probability that a true row scores above a false one; ties count half."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive, negative = int(truth.sum()), int((~truth).sum())
    if not positive or not negative:
        return 0.5
    return float((ranks[truth].sum() - positive * (positive + 1) / 2) / (positive * negative))
