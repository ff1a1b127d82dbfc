"""Many machines at once: the arithmetic of `appraisal` and `grading`, by column.

A row's values are those of a single valuation of the same facts, to the fen (floats of 53 bits
stand in for decimals of 34 digits, so a half fen may fall to the other side). A row's record is
one line of JSON; its hash covers the facts, as-of date, model, policy, values and grade.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal, localcontext
from hashlib import sha256

import numpy as np

from ml.residual_value.features import HOURS_MAX, vector
from services.valuation.adjustments import CONDITION_GRADES
from services.valuation.appraisal import CONTEXT, Valuer
from services.valuation.errors import ClassUnknown, ReplacementCostNeeded
from services.valuation.model import HOURS_MAX as METER_MAX
from services.valuation.model import Grade, Inputs, Method, Nowcast, Specification
from services.valuation.portfolio_grades import QUANTILE_COUNT, RULES, rule_bits
from services.valuation.portfolio_rows import YEAR_UNKNOWN, Flags, Floats, Integers, Kept, Rows
from services.valuation.record import nowcasts_to_json

FORMAT = "ironloop.valuation.row/1"
COST_FEN_MAX = 10**13  # a hundred milliard yuan; a float holds every fen of it
BUILD_YEAR_MIN = 1920


@dataclass(frozen=True, slots=True)
class Scored:
    """What a portfolio's rows are worth, row by row.

    Attributes:
        values: Fen: FMV, OLV and FLV, five quantiles each; zero where there is an error.
        records: The SHA-256 of each row's record.
        errors: Why a row could not be valued; "" where it was.
    """

    values: Integers
    grades: list[str]
    rules: list[str]
    records: list[bytes]
    errors: list[str]


@dataclass(slots=True)
class _Kind:
    """What rows of one make, model and class have in common."""

    error: str = ""
    needs_cost: str = ""
    group: str = ""
    is_share: bool = False
    features: list[float] = field(default_factory=list)
    level: float = 0.0
    log_reference: float = 0.0
    widening: float = 0.0
    hours_limit: float = 0.0


class PortfolioValuer:
    """Values portfolios as of one date, with one model and policy table."""

    def __init__(
        self, valuer: Valuer, as_of: date, nowcasts: Mapping[str, Nowcast] | None = None
    ) -> None:
        """Make a valuer of portfolios.

        Args:
            nowcasts: As of that date, by product group.
        """
        self._valuer = valuer
        self._nowcasts = nowcasts or {}
        self._as_of = as_of
        self._kinds: list[_Kind] = []
        self._places: dict[tuple[str, str, str], int] = {}
        self._words: dict[tuple[str, str, str], str] = {}
        self._rules_of: dict[int, tuple[str, str]] = {}
        policy, model = valuer.policy, valuer.model
        self._condition = {
            "": 1.0,
            **{grade: float(policy.number(f"CONDITION.{grade}")) for grade in CONDITION_GRADES},
        }
        self._head = sha256(
            json.dumps(
                [
                    FORMAT,
                    as_of.isoformat(),
                    model.version,
                    model.sha256,
                    policy.version,
                    policy.sha256,
                    *([nowcasts_to_json(self._nowcasts)] if self._nowcasts else []),
                ],
                sort_keys=True,
            ).encode()
        )

    def score(self, rows: Rows) -> Scored:
        """Return what each row is worth, or why it could not be valued."""
        places, errors = self._sort(rows)
        good = np.array([not error for error in errors], dtype=bool)
        values = np.zeros((len(rows), 3 * QUANTILE_COUNT), dtype=np.int64)
        bits = np.zeros(len(rows), dtype=np.int64)
        if good.any():
            values[good], bits[good] = self._score_good(rows, places, good)
        named = [
            self._named(int(one)) if ok else ("", "") for one, ok in zip(bits, good, strict=True)
        ]
        return Scored(
            values,
            [grade for grade, _ in named],
            [rules for _, rules in named],
            self._records(rows, values, named, errors),
            errors,
        )

    def _sort(self, rows: Rows) -> tuple[Integers, list[str]]:
        """Return each row's kind and its error."""
        places = np.zeros(len(rows), dtype=np.int64)
        errors: list[str] = []
        keys = zip(rows.make, rows.model, rows.equipment_class, strict=True)
        checked = zip(
            rows.build_year,
            rows.hours_meter,
            rows.replacement_cost_fen,
            rows.condition,
            rows.maintenance_compliance,
            rows.open_stop_faults,
            strict=True,
        )
        for row, (key, facts) in enumerate(zip(keys, checked, strict=True)):
            place = self._places.get(key)
            if place is None:
                place = self._add_kind(key)
            places[row] = place
            kind = self._kinds[place]
            error = kind.error or self._error_of(*facts)
            if not error and not facts[2] and kind.needs_cost:
                error = kind.needs_cost
            errors.append(error)
        return places, errors

    def _error_of(
        self,
        year: int,
        hours: float,
        cost_fen: int,
        condition: str,
        compliance: float,
        faults: int,
    ) -> str:
        last_year = self._as_of.year
        problems = {
            "build_year": year not in YEAR_UNKNOWN and not BUILD_YEAR_MIN <= year <= last_year,
            "hours_meter": not (math.isnan(hours) or 0 <= hours <= METER_MAX),
            "replacement_cost_fen": not 0 <= cost_fen <= COST_FEN_MAX,
            "condition": condition not in self._condition,
            "maintenance_compliance": not (math.isnan(compliance) or 0 <= compliance <= 1),
            "open_stop_faults": faults < -1,
        }
        if not any(problems.values()):
            return ""
        limits = {
            "build_year": f"{year} does not lie in {BUILD_YEAR_MIN} to {last_year}, the year of "
            "the as-of date",
            "hours_meter": f"must lie in 0 to {METER_MAX:,f} h, not {hours:,g}",
            "replacement_cost_fen": f"must lie in 0 to {COST_FEN_MAX:,}, not {cost_fen:,}",
            "condition": f"{condition} is none of {', '.join(CONDITION_GRADES)}",
            "maintenance_compliance": f"must lie in 0 to 1, not {compliance:g}",
            "open_stop_faults": f"must be 0 or more, not {faults}",
        }
        first = next(name for name, is_wrong in problems.items() if is_wrong)
        return f"{first}: {limits[first]}"

    def _add_kind(self, key: tuple[str, str, str]) -> int:
        make, model, equipment_class = key
        self._words[key] = json.dumps(key, separators=(",", ":"))[1:-1]
        self._places[key] = len(self._kinds)
        self._kinds.append(self._kind_of(make, model, equipment_class))
        return self._places[key]

    def _kind_of(self, make: str, model: str, equipment_class: str) -> _Kind:
        """Return what `Valuer.basis` makes of rows of a make, model and class."""
        specification = Specification(make, model, equipment_class, None, None, None)
        weight = self._valuer.policy.number("OLV_WEIGHT")
        nowcast = self._nowcast_of(equipment_class)
        needs_cost = ""
        with localcontext(CONTEXT):
            try:
                basis = self._valuer.basis(
                    Inputs(specification, self._as_of, weight, nowcast=nowcast)
                )
            except ClassUnknown as error:
                return _Kind(error=error.message.removeprefix("specification."))
            except ReplacementCostNeeded as error:
                needs_cost = f"replacement_cost_fen: {error.message}"
                carried = Specification(make, model, equipment_class, None, None, 1)
                basis = self._valuer.basis(Inputs(carried, self._as_of, weight, nowcast=nowcast))
            level = Decimal(1) if basis.method is Method.RETAINED_SHARE else basis.amount_fen
            for factor in basis.factors:
                level *= factor.value
        return _Kind(
            needs_cost=needs_cost,
            group=basis.product_group,
            is_share=basis.method is Method.RETAINED_SHARE,
            features=vector(basis.facts, self._valuer.model.encodings),
            level=float(level),
            log_reference=float(basis.log_reference),
            widening=float(basis.widening),
            hours_limit=float(self._valuer.policy.number(f"HOURS_LIMIT.{basis.product_group}")),
        )

    def _nowcast_of(self, equipment_class: str) -> Nowcast | None:
        policy = self._valuer.policy
        if equipment_class not in policy.classes:
            return None
        return self._nowcasts.get(policy.product_group(equipment_class))

    def _score_good(self, rows: Rows, places: Integers, good: Flags) -> tuple[Integers, Integers]:
        kept = Kept.of(rows, good, self._as_of)
        own = places[good]
        kinds = self._kinds
        features = np.array([kind.features for kind in kinds if kind.features])[_dense(kinds)[own]]
        names = self._valuer.model.features
        features[:, names.index("age_years")] = kept.age
        features[:, names.index("hours_meter")] = np.minimum(kept.hours, HOURS_MAX)
        quantiles = np.round(
            self._valuer.model.log_quantiles(features, [kinds[place].group for place in own]), 9
        )
        is_share = np.array([kind.is_share for kind in kinds])[own]
        level = np.array([kind.level for kind in kinds])[own]
        level *= np.where(is_share, kept.cost, 1.0) * self._adjusted(kept)
        reference = np.array([kind.log_reference for kind in kinds])[own]
        widening = np.array([kind.widening for kind in kinds])[own]
        sides = np.array([-1.0, -1.0, 0.0, 1.0, 1.0])
        exact = level[:, None] * np.exp(
            quantiles - reference[:, None] + sides[None, :] * widening[:, None]
        )
        values = self._values(exact, kept.cost)
        groups = np.array([bool(kind.group) for kind in kinds])[own]
        limits = np.array([kind.hours_limit for kind in kinds])[own]
        bits = rule_bits(
            self._valuer,
            self._as_of,
            kept,
            values,
            covered=groups,
            is_share=is_share,
            limits=limits,
        )
        return values, bits

    def _adjusted(self, kept: Kept) -> Floats:
        policy = self._valuer.policy
        factor = np.array([self._condition[one] for one in kept.condition])
        slope = float(policy.number("MAINTENANCE.SLOPE"))
        neutral = float(policy.number("MAINTENANCE.NEUTRAL"))
        factor *= np.where(np.isnan(kept.compliance), 1.0, 1 + slope * (kept.compliance - neutral))
        counted = np.clip(kept.faults, 0, int(policy.number("STOP_FAULT.COUNTED_MAX")))
        factor *= float(policy.number("STOP_FAULT.EACH")) ** counted
        norm = float(policy.number("HOURS_ADJUSTMENT.NORM"))
        above = np.maximum(0.0, np.nan_to_num(kept.hours) - norm) / 1_000
        adjusted: Floats = factor * np.exp(
            -float(policy.number("HOURS_ADJUSTMENT.PER_1000")) * above
        )
        return adjusted

    def _values(self, exact: Floats, cost: Floats) -> Integers:
        """Return FMV, OLV and FLV by quantile, as `appraisal.values_of` does."""
        policy = self._valuer.policy
        ceiling = np.where(cost > 0, cost, np.inf)[:, None]
        market = np.minimum(_half_up(exact / float(policy.number("FMV_RATIO"))), ceiling)
        forced = np.minimum(_half_up(exact), market)
        weight = float(policy.number("OLV_WEIGHT"))
        orderly = forced + _half_up(weight * (market - forced))
        return np.hstack([market, orderly, forced]).astype(np.int64)

    def _named(self, bits: int) -> tuple[str, str]:
        """Return the grade of rules and their names, the worst first."""
        if bits not in self._rules_of:
            applied = [code for place, code in enumerate(RULES) if bits >> place & 1]
            rules = [self._valuer.policy.rule(code, "") for code in applied]
            rules.sort(key=lambda rule: rule.grade, reverse=True)
            grade = max((rule.grade for rule in rules), default=Grade.A)
            self._rules_of[bits] = grade.value, ",".join(rule.code for rule in rules)
        return self._rules_of[bits]

    def _records(
        self,
        rows: Rows,
        values: Integers,
        named: Sequence[tuple[str, str]],
        errors: Sequence[str],
    ) -> list[bytes]:
        records: list[bytes] = []
        words = self._words
        columns = zip(
            zip(rows.make, rows.model, rows.equipment_class, strict=True),
            rows.build_year,
            rows.hours_meter,
            rows.replacement_cost_fen,
            rows.condition,
            rows.maintenance_compliance,
            rows.open_stop_faults,
            values.tolist(),
            named,
            errors,
            strict=True,
        )
        for key, year, hours, cost, condition, kept, faults, own, (grade, rules), error in columns:
            output = json.dumps(error) if error else f'{own},"{grade}","{rules}"'
            line = (
                f"[{words[key]},{year},{hours!r},{cost},{json.dumps(condition)},{kept!r},{faults},"
                f"{output}]"
            )
            digest = self._head.copy()
            digest.update(line.encode())
            records.append(digest.digest())
        return records


def _half_up(amounts: Floats) -> Floats:
    rounded: Floats = np.floor(amounts + 0.5)
    return rounded


def _dense(kinds: Sequence[_Kind]) -> Integers:
    """Return each kind's place among those that have features."""
    return np.cumsum([bool(kind.features) for kind in kinds]) - 1
