"""Learns the encodings: shrunken price levels of class, variant and model, codes, catalogue."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ml.residual_value.encodings import (
    CATALOGUE_SALES_MIN,
    SALES_MIN,
    CatalogueModel,
    Encodings,
    base_key,
    catalogue_key,
    local_key,
    model_key,
    variant_key,
)
from ml.residual_value.features import (
    FEATURES,
    OPTIONS,
    PRODUCT_GROUPS,
    VARIANT_PARTS,
    MachineFacts,
    size_of,
    vector,
)
from ml.residual_value.hedonic import Hedonic
from ml.residual_value.sales import Sales

SHRINK_SALES = 2.0  # a level of n sales keeps n ÷ (n + 2) of its own mean; 5 and 10 were worse
SHRINK_REGION_SALES = 10.0
SHRINK_EFFECT_SALES = 12.0  # 5 and 7 were worse by 0.001 in most windows
SHRINK_SPREAD_SALES = 12.0
CODED_SALES_MIN = 30  # a rarer value of a categorical feature is treated as unknown
FOLDS = 4

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
KeyOf = Callable[[MachineFacts], str]


def fit_encodings(sales: Sales, hedonic: Hedonic) -> Encodings:
    """Return the encodings of sales, without spreads and effects (see `with_effects`)."""
    plain = Encodings(
        group_levels=_means(sales, [hedonic.class_levels[f.product_class] for f in sales.facts]),
        class_levels=hedonic.class_levels,
        variant_levels={},
        base_levels={},
        model_levels={},
        typical_sizes=_medians(sales, [size_of(facts.product_class) for facts in sales.facts]),
        codes=_codes(sales),
        standard_options=_standard_options(sales),
        catalogue=_catalogue(sales),
        layout=FEATURES,
    )
    return with_levels(plain, sales.facts, _residual(sales, hedonic))


def training_matrix(sales: Sales, hedonic: Hedonic, encodings: Encodings) -> Vector:
    """Return the features of sales, no row's levels having seen the row's own price.

    The levels of each fold are learned from the other folds; a machine's sales share a fold.
    """
    residual = _residual(sales, hedonic)

    def blind(others: Flags) -> Encodings:
        return with_levels(encodings, chosen(sales.facts, others), residual[others])

    return _matrix_by_fold(sales, blind)


def folds_of(sales: Sales) -> NDArray[np.int64]:
    """Return each sale's fold; the sales of a machine share one."""
    return np.array([_fold(name or f"row {place}") for place, name in enumerate(sales.machine)])


def matrix_of(facts: Sequence[MachineFacts], encodings: Encodings) -> Vector:
    """Return the features of machines, one row each."""
    return np.array([vector(machine, encodings) for machine in facts], dtype=np.float64)


def with_levels(encodings: Encodings, facts: Sequence[MachineFacts], residual: Vector) -> Encodings:
    """Return encodings with the levels of variant and region, each net of the last."""
    variants = _shrunken_means(facts, residual, _variant_of, shrink=SHRINK_SALES)
    residual = residual - _looked_up(facts, variants, _variant_of)
    regions = _shrunken_means(facts, residual, _region_of, shrink=SHRINK_REGION_SALES)
    return replace(encodings, variant_levels=variants, region_levels=regions)


def with_effects(
    encodings: Encodings, facts: Sequence[MachineFacts], unexplained: Vector, weights: Vector
) -> Encodings:
    """Return encodings with the effects of place and model, and the spreads around the median.

    `unexplained` is what the boosters leave of log prices they have not seen. Effects are added to
    the boosters' output and shown to none of them: see `features.EFFECTS`.
    """
    left = unexplained
    places = _shrunken_means(facts, left, _local_of, shrink=SHRINK_EFFECT_SALES, weights=weights)
    left = left - _looked_up(facts, places, _local_of)
    bases = _shrunken_means(facts, left, _base_of, shrink=SHRINK_EFFECT_SALES, weights=weights)
    left = left - _looked_up(facts, bases, _base_of)
    models = _shrunken_means(facts, left, _model_of, shrink=SHRINK_EFFECT_SALES, weights=weights)
    left = left - _looked_up(facts, models, _model_of)
    spread = np.abs(left) - np.mean(np.abs(left))
    return replace(
        encodings,
        local_effects=places,
        base_effects=bases,
        model_effects=models,
        variant_spreads=_shrunken_means(facts, spread, _variant_of, shrink=SHRINK_SPREAD_SALES),
    )


def chosen(facts: Sequence[MachineFacts], mask: Flags) -> list[MachineFacts]:
    """Return the facts for which `mask` is true."""
    return [facts[place] for place in np.flatnonzero(mask).tolist()]


def _matrix_by_fold(sales: Sales, blind: Callable[[Flags], Encodings]) -> Vector:
    folds = folds_of(sales)
    matrix = np.empty((len(sales), len(FEATURES)))
    for fold in range(FOLDS):
        own = folds == fold
        if own.any():
            matrix[own] = matrix_of(chosen(sales.facts, own), blind(~own))
    return matrix


def _residual(sales: Sales, hedonic: Hedonic) -> Vector:
    return sales.log_price - hedonic.index_of(sales.month) - hedonic.expected(sales)


def _variant_of(machine: MachineFacts) -> str:
    return variant_key(machine.product_class, machine.variant)


def _region_of(machine: MachineFacts) -> str:
    return machine.region


def _local_of(machine: MachineFacts) -> str:
    return local_key(machine.product_class, machine.variant, machine.region)


def _base_of(machine: MachineFacts) -> str:
    return base_key(machine.product_group, machine.base_model) if machine.base_model else ""


def _model_of(machine: MachineFacts) -> str:
    if not machine.base_model:
        return ""
    return model_key(machine.product_group, machine.base_model, machine.variant)


def _shrunken_means(
    facts: Sequence[MachineFacts],
    residual: Vector,
    key_of: KeyOf,
    *,
    shrink: float,
    weights: Vector | None = None,
) -> dict[str, float]:
    sums: defaultdict[str, float] = defaultdict(float)
    counts: Counter[str] = Counter()
    masses: defaultdict[str, float] = defaultdict(float)
    given = np.ones(len(facts)) if weights is None else weights
    for machine, value, weight in zip(facts, residual.tolist(), given.tolist(), strict=True):
        if key := key_of(machine):
            sums[key] += weight * value
            masses[key] += weight
            counts[key] += 1
    return {
        key: round(sums[key] / (masses[key] + shrink), 6)
        for key in sorted(counts)
        if counts[key] >= SALES_MIN
    }


def _looked_up(facts: Sequence[MachineFacts], levels: Mapping[str, float], key_of: KeyOf) -> Vector:
    return np.array([levels.get(key_of(machine), 0.0) for machine in facts])


def _fold(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:4]) % FOLDS


def _by_group(sales: Sales, values: Sequence[float]) -> dict[str, Vector]:
    groups = np.array([facts.product_group for facts in sales.facts])
    array = np.asarray(values, dtype=np.float64)
    present = [group for group in PRODUCT_GROUPS if (groups == group).any()]
    return {"": array} | {group: array[groups == group] for group in present}


def _means(sales: Sales, values: Sequence[float]) -> dict[str, float]:
    return {key: float(np.mean(part)) for key, part in _by_group(sales, values).items()}


def _medians(sales: Sales, values: Sequence[float]) -> dict[str, float]:
    known = {key: part[~np.isnan(part)] for key, part in _by_group(sales, values).items()}
    return {key: float(np.median(part)) for key, part in known.items() if len(part)}


def _codes(sales: Sales) -> dict[str, dict[str, int]]:
    codes = {}
    for feature, value_of in _CATEGORIES.items():
        counts = Counter(value_of(facts) for facts in sales.facts)
        frequent = sorted(
            value for value, count in counts.items() if value and count >= CODED_SALES_MIN
        )
        codes[feature] = {value: code for code, value in enumerate(frequent)}
    return codes


def _option(name: str) -> KeyOf:
    return lambda facts: facts.options.get(name, "")


def _variant_part(place: int) -> KeyOf:
    return lambda facts: facts.variant.split("|")[place]


_CATEGORIES: dict[str, KeyOf] = {
    "product_class": lambda facts: facts.product_class,
    **{name: _option(name) for name in OPTIONS},
    **{name: _variant_part(place) for place, name in enumerate(VARIANT_PARTS)},
}


def _standard_options(sales: Sales) -> dict[str, dict[str, str]]:
    """Return each group's most frequent value of each option that the group's rows mostly carry."""
    standard: dict[str, dict[str, str]] = {}
    for group in PRODUCT_GROUPS:
        own = [facts for facts in sales.facts if facts.product_group == group]
        standard[group] = {}
        for option in OPTIONS:
            counts = Counter(facts.options.get(option, "") for facts in own)
            if own and (value := max(counts, key=lambda value: (counts[value], value))):
                standard[group][option] = value
    return standard


def _catalogue(sales: Sales) -> dict[str, CatalogueModel]:
    counts: Counter[tuple[str, CatalogueModel]] = Counter()
    totals: Counter[str] = Counter()
    for facts, name in zip(sales.facts, sales.model_name, strict=True):
        if name and facts.base_model:
            key = catalogue_key(facts.product_group, name)
            model = CatalogueModel(
                facts.product_group, facts.product_class, facts.base_model, facts.variant, 0
            )
            counts[key, model] += 1
            totals[key] += 1
    chosen: dict[str, tuple[int, CatalogueModel]] = {}
    for (key, model), count in sorted(counts.items(), key=lambda item: (-item[1], str(item[0]))):
        if totals[key] >= CATALOGUE_SALES_MIN and key not in chosen:
            chosen[key] = (count, replace(model, sales=totals[key]))
    return {key: chosen[key][1] for key in sorted(chosen)}
