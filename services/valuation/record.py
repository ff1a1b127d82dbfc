"""The record of a valuation: canonical JSON of request, features, versions and output.

Canonical means sorted keys, no spaces, ASCII; amounts are integers of fen, other numbers strings,
so two computations that agree have the same bytes.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.metadata import version as installed
from typing import Any, TypeAlias

from ml.residual_value.model import QUANTILES, Prediction, canonical
from services.valuation.appraisal import Valuer
from services.valuation.model import (
    Adjustments,
    Appraisal,
    Component,
    Factor,
    Grade,
    GradeRule,
    Inputs,
    Method,
    Nowcast,
    QuantilesFen,
    Specification,
    Values,
)

FORMAT = "ironloop.valuation.record/1"
DIFFERENCES_MAX = 100  # more say no more than that nothing fits

Json: TypeAlias = dict[str, Any]
Difference: TypeAlias = tuple[str, str, str]  # JSON pointer, kept, recomputed


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a record says to whoever looks at its valuation.

    Attributes:
        model, policy: Their versions.
        facts: Where the facts of a registered machine came from; None: a specification was valued.
    """

    inputs: Inputs
    appraisal: Appraisal
    model: str
    policy: str
    facts: Json | None = None


def read_record(record: bytes) -> Recorded:
    """Return what a record says."""
    content = json.loads(record)
    return Recorded(
        inputs=inputs_from_json(content["inputs"]),
        appraisal=appraisal_from_json(content["output"]),
        model=content["versions"]["model"],
        policy=content["versions"]["policy"],
        facts=content.get("facts"),
    )


def make_record(
    valuer: Valuer,
    inputs: Inputs,
    appraisal: Appraisal,
    prediction: Prediction,
    *,
    request: Json,
    facts: Json | None = None,
) -> bytes:
    """Return the canonical bytes of a valuation.

    Args:
        request: Who asked for which machine: "valuation", "party" and "machine".
        facts: Where the facts of a registered machine came from; None: a specification was valued,
            or the record is from before they were read.
    """
    content: Json = {
        "format": FORMAT,
        "request": request,
        "inputs": inputs_to_json(inputs),
        "features": dict(zip(valuer.model.features, prediction.features, strict=True)),
        "log_price": {
            name: str(value) for name, value in zip(QUANTILES, prediction.log_price, strict=True)
        },
        "versions": {
            "model": valuer.model.version,
            "model_sha256": valuer.model.sha256,
            "policy": valuer.policy.version,
            "policy_sha256": valuer.policy.sha256,
            "libraries": libraries(),
        },
        "output": appraisal_to_json(appraisal),
    }
    if facts is not None:
        content["facts"] = facts
    return canonical(content).encode()


def recompute(valuer: Valuer, record: bytes) -> bytes:
    """Return the record that the kept one's request and inputs give now."""
    kept = json.loads(record)
    inputs = inputs_from_json(kept["inputs"])
    appraisal, prediction = valuer.appraise(inputs)
    return make_record(
        valuer,
        inputs,
        appraisal,
        prediction,
        request=kept["request"],
        facts=kept.get("facts"),
    )


def sha256_of(record: bytes) -> str:
    """Return the SHA-256 of a record."""
    return hashlib.sha256(record).hexdigest()


def differences(kept: bytes, recomputed: bytes) -> list[Difference]:
    """Return (JSON pointer, kept, recomputed) for each place at which two records differ."""
    found: list[Difference] = []
    _compare(json.loads(kept), json.loads(recomputed), "", found)
    if kept != recomputed and not found:
        found.append(("", "not canonical", "canonical"))
    return found[:DIFFERENCES_MAX]


def inputs_to_json(inputs: Inputs) -> Json:
    """Return inputs as the record keeps them."""
    specification = inputs.specification
    hours = specification.hours_meter
    content: Json = {
        "specification": {
            "make": specification.make,
            "model": specification.model,
            "equipment_class": specification.equipment_class,
            "build_year": specification.build_year,
            "hours_meter": None if hours is None else f"{hours:f}",
            "replacement_cost_fen": specification.replacement_cost_fen,
        },
        "as_of": inputs.as_of.isoformat(),
        "olv_weight": f"{inputs.olv_weight:f}",
        "overridden": list(inputs.overridden),
    }
    # Left out where nothing is stated: records from before adjustments existed keep their bytes.
    if inputs.adjustments != Adjustments():
        content["adjustments"] = _adjustments_to_json(inputs.adjustments)
    if inputs.nowcast is not None:
        content["nowcast"] = nowcast_to_json(inputs.nowcast)
    return content


def inputs_from_json(content: Json) -> Inputs:
    """Return the inputs that a record keeps."""
    specification = content["specification"]
    hours = specification["hours_meter"]
    return Inputs(
        specification=Specification(
            make=specification["make"],
            model=specification["model"],
            equipment_class=specification["equipment_class"],
            build_year=specification["build_year"],
            hours_meter=None if hours is None else Decimal(hours),
            replacement_cost_fen=specification["replacement_cost_fen"],
        ),
        as_of=date.fromisoformat(content["as_of"]),
        olv_weight=Decimal(content["olv_weight"]),
        overridden=tuple(content["overridden"]),
        adjustments=_adjustments_from_json(content.get("adjustments")),
        nowcast=nowcast_from_json(content["nowcast"]) if "nowcast" in content else None,
    )


def nowcast_to_json(nowcast: Nowcast) -> Json:
    """Return a nowcast as records and batches keep it."""
    return {
        "log_level": f"{nowcast.log_level:f}",
        "standard_error": f"{nowcast.standard_error:f}",
        "first_month": nowcast.first_month.isoformat(),
        "last_month": nowcast.last_month.isoformat(),
        "sales": nowcast.sales,
    }


def nowcast_from_json(content: Json) -> Nowcast:
    """Return the nowcast that a record or batch keeps."""
    return Nowcast(
        log_level=Decimal(content["log_level"]),
        standard_error=Decimal(content["standard_error"]),
        first_month=date.fromisoformat(content["first_month"]),
        last_month=date.fromisoformat(content["last_month"]),
        sales=content["sales"],
    )


def nowcasts_to_json(nowcasts: Mapping[str, Nowcast]) -> Json:
    """Return nowcasts by product group as batches keep them."""
    return {group: nowcast_to_json(nowcast) for group, nowcast in nowcasts.items()}


def nowcasts_from_json(content: Json) -> dict[str, Nowcast]:
    """Return the nowcasts that a batch keeps, by product group."""
    return {group: nowcast_from_json(nowcast) for group, nowcast in content.items()}


def appraisal_to_json(appraisal: Appraisal) -> Json:
    """Return an appraisal as the record keeps it."""
    return {
        "method": appraisal.method.value,
        "factors": [
            {"code": factor.code, "value": f"{factor.value:f}", "source": factor.source}
            for factor in appraisal.factors
        ],
        "values_fen": {
            basis: dict(zip(QUANTILES, getattr(appraisal.values, basis), strict=True))
            for basis in ("fmv", "olv", "flv")
        },
        "grade": appraisal.grade.value,
        "grade_rules": [
            {"code": rule.code, "grade": rule.grade.value, "description": rule.description}
            for rule in appraisal.grade_rules
        ],
        "review_reasons": list(appraisal.review_reasons),
    }


def appraisal_from_json(content: Json) -> Appraisal:
    """Return the appraisal that a record keeps."""
    values = content["values_fen"]
    return Appraisal(
        method=Method(content["method"]),
        factors=tuple(
            Factor(factor["code"], Decimal(factor["value"]), factor["source"])
            for factor in content["factors"]
        ),
        values=Values(_five(values["fmv"]), _five(values["olv"]), _five(values["flv"])),
        grade=Grade(content["grade"]),
        grade_rules=tuple(
            GradeRule(rule["code"], Grade(rule["grade"]), rule["description"])
            for rule in content["grade_rules"]
        ),
        review_reasons=tuple(content["review_reasons"]),
    )


@cache
def libraries() -> dict[str, str]:
    """Return the versions of what computes a value."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    return {"python": python} | {name: installed(name) for name in ("lightgbm", "numpy")}


def _five(by_name: dict[str, int]) -> QuantilesFen:
    q05, q10, q50, q90, q95 = (by_name[name] for name in QUANTILES)
    return q05, q10, q50, q90, q95


def _adjustments_to_json(adjustments: Adjustments) -> Json:
    compliance, found_on = adjustments.maintenance_compliance, adjustments.condition_found_on
    # Left out where no inspection says so: records from before inspections were read keep theirs.
    found = {} if found_on is None else {"condition_found_on": found_on.isoformat()}
    return found | {
        "condition": adjustments.condition,
        "maintenance_compliance": None if compliance is None else f"{compliance:f}",
        "open_stop_faults": adjustments.open_stop_faults,
        "components": [
            {"code": component.code, "hours_since_reman": f"{component.hours_since_reman:f}"}
            for component in adjustments.components
        ],
        "region": adjustments.region,
        "channel": adjustments.channel,
    }


def _adjustments_from_json(content: Json | None) -> Adjustments:
    if content is None:
        return Adjustments()
    compliance, found_on = content["maintenance_compliance"], content.get("condition_found_on")
    return Adjustments(
        condition=content["condition"],
        maintenance_compliance=None if compliance is None else Decimal(compliance),
        open_stop_faults=content["open_stop_faults"],
        components=tuple(
            Component(component["code"], Decimal(component["hours_since_reman"]))
            for component in content["components"]
        ),
        region=content["region"],
        channel=content["channel"],
        condition_found_on=None if found_on is None else date.fromisoformat(found_on),
    )


def _compare(kept: Any, recomputed: Any, path: str, found: list[Difference]) -> None:
    if isinstance(kept, dict) and isinstance(recomputed, dict):
        for key in sorted(kept.keys() | recomputed.keys()):
            escaped = key.replace("~", "~0").replace("/", "~1")
            below = f"{path}/{escaped}"
            if key not in kept:
                found.append((below, "", canonical(recomputed[key])))
            elif key not in recomputed:
                found.append((below, canonical(kept[key]), ""))
            else:
                _compare(kept[key], recomputed[key], below, found)
    elif isinstance(kept, list) and isinstance(recomputed, list) and len(kept) == len(recomputed):
        for place, (one, other) in enumerate(zip(kept, recomputed, strict=True)):
            _compare(one, other, f"{path}/{place}", found)
    elif kept != recomputed:
        found.append((path, canonical(kept), canonical(recomputed)))
