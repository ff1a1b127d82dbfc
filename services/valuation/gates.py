"""The gates of a model: what it must meet before anybody may approve it (valuation.md)."""

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal, localcontext
from statistics import geometric_mean
from typing import Any

from ml.residual_value.model import ResidualValueModel
from services.valuation.appraisal import CONTEXT, Valuer, values_of
from services.valuation.model import MEDIAN, Inputs, Specification, Values
from services.valuation.model_store import Gate
from services.valuation.policy import PolicyTable

BIAS_MAX = 0.03
COVERAGE = (0.88, 0.92)
GROUP_ROWS_MIN, GROUP_COVERAGE_MIN = 200, 0.83
PINBALL_RATIO_MAX = 0.9
RIVALS = ("class_median", "lucko_regression")
INDEX_SHOCK = Decimal("0.7")
FMV_FALL = (Decimal("-0.35"), Decimal("-0.20"))
COST_FEN = 100_000_000_00  # so high that it caps nothing
AGES, HOURS = range(0, 36, 2), range(200, 30_000, 1_700)


def run_gates(model: ResidualValueModel, policy: PolicyTable) -> tuple[Gate, ...]:
    """Return every gate and whether the model meets it; a figure not measured is not met."""
    figures: Mapping[str, Any] = json.loads(model.evaluation)
    valuer = Valuer.of(model, policy)
    with localcontext(CONTEXT):
        return (
            Gate("REAL_SALES", not model.calibration.synthetic, "trained on real sales alone"),
            *of_figures(figures),
            *of_served_values(valuer),
        )


def of_figures(figures: Mapping[str, Any]) -> Iterator[Gate]:
    """Yield the gates of the evaluation's figures."""
    windows = [figures, *figures.get("windows", [])]
    biases = [abs(one["bias_log"]) for one in windows if "bias_log" in one]
    yield _gate("BIAS", max(biases, default=None), at_most=BIAS_MAX, of="worst bias of a window")
    coverage = figures.get("coverage_90")
    low, high = COVERAGE
    yield Gate(
        "COVERAGE_90",
        coverage is not None and low <= coverage <= high,
        f"coverage of the 90 % interval {_shown(coverage)}, must lie in {low} to {high}",
    )
    covered = [
        (group["coverage_90"], f"{kind} {name}")
        for kind, groups in figures.get("groups", {}).items()
        for name, group in groups.items()
        if group["rows"] >= GROUP_ROWS_MIN
    ]
    worst, where = min(covered, default=(None, "no group measured"))
    yield Gate(
        "COVERAGE_90_GROUPS",
        worst is not None and worst >= GROUP_COVERAGE_MIN,
        f"lowest coverage {_shown(worst)} ({where}), must be at least {GROUP_COVERAGE_MIN}",
    )
    for rival in RIVALS:
        yield _gate(
            f"PINBALL_{rival.upper()}",
            _pinball_ratio(figures.get("windows", []), rival),
            at_most=PINBALL_RATIO_MAX,
            of=f"pinball loss ÷ that of {rival}, geometric mean over the windows",
        )


def _pinball_ratio(windows: Sequence[Mapping[str, Any]], rival: str) -> float | None:
    """Return the geometric mean of a model's loss ÷ a rival's; None where it was not measured."""
    measured = [
        one["pinball"] / one["rival_pinball"][rival]
        for one in windows
        if rival in one.get("rival_pinball", {})
    ]
    return geometric_mean(measured) if measured and len(measured) == len(windows) else None


def of_served_values(valuer: Valuer) -> Iterator[Gate]:
    """Yield the gates of the values themselves: directions, order, index, missing facts."""
    machines = list(_machines(valuer))
    falling = all(_falls(valuer, machine) for machine in machines)
    yield Gate("MONOTONE", falling, f"age and hours swept on {len(machines)} machines")
    ordered = all(_is_ordered(valuer.appraise(machine)[0].values) for machine in machines)
    yield Gate("ORDER", ordered, "FLV ≤ OLV ≤ FMV and no quantile crosses another")
    low, high = FMV_FALL
    shocks = [_index_shock(valuer, machine) for machine in machines]
    moved = [one for one in shocks if one is not None] or [Decimal(0)]
    yield Gate(
        "INDEX_SHOCK",
        all(low <= one <= high for one in moved),
        f"index −30 % moves FMV by {min(moved):.3f} to {max(moved):.3f}, limits {low} to {high}",
    )
    yield Gate(
        "MISSING_FACTS",
        all(_is_graded_down(valuer, machine) for machine in machines),
        "without build year or hours the grade is no better and nothing fails",
    )


def _machines(valuer: Valuer) -> Iterator[Inputs]:
    """Return a machine of each class, and one known model of each product group."""
    model, policy = valuer.model, valuer.policy
    known: dict[str, str] = {}
    for key in sorted(model.encodings.catalogue):
        group, _, name = key.partition("|")
        known.setdefault(group, name)
    for equipment_class in policy.classes:
        for name in {"", known.get(policy.product_group(equipment_class), "")}:
            yield Inputs(
                Specification(
                    "CATERPILLAR",
                    name,
                    equipment_class,
                    model.window_end.year - 6,
                    Decimal(6_000),
                    COST_FEN,
                ),
                date(model.window_end.year, 1, 1),
                policy.number("OLV_WEIGHT"),
            )


def _falls(valuer: Valuer, machine: Inputs) -> bool:
    specification, year = machine.specification, machine.as_of.year
    swept = (
        [replace(specification, build_year=year - age) for age in AGES],
        [replace(specification, hours_meter=Decimal(hours)) for hours in HOURS],
    )
    for sweep in swept:
        values = [valuer.appraise(replace(machine, specification=one))[0].values for one in sweep]
        if any(later.at_most(one) != later for one, later in itertools.pairwise(values)):
            return False
    return True


def _is_ordered(values: Values) -> bool:
    columns = zip(values.flv, values.olv, values.fmv, strict=True)
    return all(list(one) == sorted(one) for one in (values.flv, values.olv, values.fmv)) and all(
        flv <= olv <= fmv for flv, olv, fmv in columns
    )


def _index_shock(valuer: Valuer, machine: Inputs) -> Decimal | None:
    """Return how FMV moves with the index; None where no index is a factor of it."""
    basis = valuer.basis(machine)
    shocked = tuple(
        replace(factor, value=factor.value * INDEX_SHOCK) if factor.code == "INDEX" else factor
        for factor in basis.factors
    )
    if shocked == basis.factors:
        return None
    log_price = valuer.model.predict(basis.facts).log_price
    before, after = (
        values_of(log_price, one).fmv[MEDIAN] for one in (basis, replace(basis, factors=shocked))
    )
    return Decimal(after) / before - 1


def _is_graded_down(valuer: Valuer, machine: Inputs) -> bool:
    whole = machine.specification
    no_hours, no_year = replace(whole, hours_meter=None), replace(whole, build_year=None)
    grades = [
        valuer.appraise(replace(machine, specification=one))[0].grade
        for one in (whole, no_hours, no_year, replace(no_hours, build_year=None))
    ]
    return all(grade >= grades[0] for grade in grades)


def _gate(code: str, figure: float | None, *, at_most: float, of: str) -> Gate:
    return Gate(
        code,
        figure is not None and figure <= at_most,
        f"{of} {_shown(figure)}, must be at most {at_most}",
    )


def _shown(figure: float | None) -> str:
    return "not measured" if figure is None else f"{figure:.4f}"
