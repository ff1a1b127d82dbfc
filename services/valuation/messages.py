"""Valuations, models and policies between the contract and Python."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from ironloop.valuation.v1 import valuation_pb2

from ml.residual_value.model import ResidualValueModel
from services.kit import wire
from services.kit.etags import etag
from services.kit.ids import name
from services.valuation.appraisal import CurvePoint
from services.valuation.events import quantiles
from services.valuation.model import (
    Adjustments,
    Component,
    Inputs,
    Nowcast,
    Specification,
    Valuation,
)
from services.valuation.model_store import ModelVersion
from services.valuation.policy import FACTOR_SCALE, PolicyTable
from services.valuation.record import Json, Recorded, read_record


def specification_from_wire(message: valuation_pb2.Specification) -> Specification:
    """Return a specification; names the field of a number that cannot be taken."""
    return Specification(
        make=message.make,
        model=message.model,
        equipment_class=message.equipment_class,
        build_year=message.build_year or None,
        hours_meter=_decimal(message, "hours_meter", prefix="specification."),
        replacement_cost_fen=_cost(message, prefix="specification."),
    )


def inputs_from_wire(
    specification: Specification,
    overrides: valuation_pb2.Overrides,
    *,
    as_of: date,
    olv_weight: Decimal,
) -> Inputs:
    """Return what a machine is valued from, the caller's overrides applied.

    Args:
        olv_weight: The policy's, for a caller who states none.
    """
    hours = _decimal(overrides, "hours_meter", prefix="overrides.")
    cost = _cost(overrides, prefix="overrides.")
    weight = _decimal(overrides, "olv_weight", prefix="overrides.")
    stated = {"hours_meter": hours, "replacement_cost": cost, "olv_weight": weight}
    adjustments = adjustments_from_wire(overrides.adjustments, prefix="overrides.adjustments.")
    return Inputs(
        specification=Specification(
            make=specification.make,
            model=specification.model,
            equipment_class=specification.equipment_class,
            build_year=specification.build_year,
            hours_meter=specification.hours_meter if hours is None else hours,
            replacement_cost_fen=specification.replacement_cost_fen if cost is None else cost,
        ),
        as_of=as_of,
        olv_weight=olv_weight if weight is None else weight,
        overridden=tuple(field for field, value in stated.items() if value is not None),
        adjustments=adjustments,
    )


def adjustments_from_wire(message: valuation_pb2.Adjustments, *, prefix: str) -> Adjustments:
    """Return what is stated of a machine beside its specification."""
    condition = ""
    if message.condition:
        condition = wire.enum_name(valuation_pb2.Condition, message.condition, prefix="CONDITION_")
    return Adjustments(
        condition=condition,
        maintenance_compliance=_decimal(message, "maintenance_compliance", prefix=prefix),
        open_stop_faults=(
            message.open_stop_faults if message.HasField("open_stop_faults") else None
        ),
        components=tuple(
            Component(
                component.code,
                wire.to_decimal(
                    component.hours_since_reman,
                    field=f"{prefix}components[{place}].hours_since_reman",
                ),
            )
            for place, component in enumerate(message.components)
        ),
        region=message.region,
        channel=message.channel,
    )


def adjustments_to_wire(adjustments: Adjustments) -> valuation_pb2.Adjustments:
    """Return what was stated of a machine beside its specification."""
    message = valuation_pb2.Adjustments(
        components=[
            valuation_pb2.Component(
                code=component.code, hours_since_reman=wire.decimal(component.hours_since_reman)
            )
            for component in adjustments.components
        ],
        region=adjustments.region,
        channel=adjustments.channel,
    )
    if adjustments.condition:
        message.condition = wire.enum_number(
            valuation_pb2.Condition, adjustments.condition, prefix="CONDITION_"
        )
    if adjustments.maintenance_compliance is not None:
        message.maintenance_compliance.CopyFrom(wire.decimal(adjustments.maintenance_compliance))
    if adjustments.open_stop_faults is not None:
        message.open_stop_faults = adjustments.open_stop_faults
    return message


def valuation_to_wire(
    valuation: Valuation, recorded: Recorded | None = None
) -> valuation_pb2.Valuation:
    """Return a valuation as the contract shows it.

    Args:
        recorded: What its record says, where that is at hand.
    """
    recorded = recorded or read_record(valuation.record)
    inputs, appraisal = recorded.inputs, recorded.appraisal
    specification = specification_to_wire(inputs.specification)
    message = valuation_pb2.Valuation(
        name=valuation.name,
        uid=str(valuation.id),
        etag=etag(valuation.version),
        event_sequence=valuation.event_sequence,
        state=wire.enum_number(
            valuation_pb2.ValuationState, valuation.state, prefix="VALUATION_STATE_"
        ),
        party=valuation.party,
        machine=valuation.machine,
        specification=specification,
        as_of=wire.date(valuation.as_of),
        fmv=quantiles(appraisal.values.fmv),
        olv=quantiles(appraisal.values.olv),
        flv=quantiles(appraisal.values.flv),
        grade=wire.enum_number(valuation_pb2.Grade, appraisal.grade, prefix="GRADE_"),
        grade_rules=[
            valuation_pb2.GradeRule(
                code=rule.code,
                grade=wire.enum_number(valuation_pb2.Grade, rule.grade, prefix="GRADE_"),
                description=rule.description,
            )
            for rule in appraisal.grade_rules
        ],
        method=wire.enum_number(valuation_pb2.Method, appraisal.method, prefix="METHOD_"),
        factors=[
            valuation_pb2.Factor(
                code=factor.code, value=wire.decimal(factor.value), source=factor.source
            )
            for factor in appraisal.factors
        ],
        model=name("models", recorded.model),
        policy=name("policies", recorded.policy),
        record_sha256=valuation.record_sha256,
        review_reasons=appraisal.review_reasons,
        decision_reason=valuation.decision_reason,
        decided_by=valuation.decided_by,
        create_time=wire.instant(valuation.create_time),
        update_time=wire.instant(valuation.update_time),
    )
    if specification.HasField("replacement_cost"):
        message.replacement_cost.CopyFrom(specification.replacement_cost)
    if inputs.adjustments != Adjustments():
        message.adjustments.CopyFrom(adjustments_to_wire(inputs.adjustments))
    if recorded.facts is not None:
        message.facts.CopyFrom(_facts_to_wire(recorded.facts))
    if inputs.nowcast is not None:
        message.nowcast.CopyFrom(nowcast_to_wire(inputs.nowcast))
    if valuation.superseded_by is not None:
        message.superseded_by = name("valuations", valuation.superseded_by)
    if valuation.issue_time is not None and valuation.expire_time is not None:
        message.issue_time.CopyFrom(wire.instant(valuation.issue_time))
        message.expire_time.CopyFrom(wire.instant(valuation.expire_time))
    return message


def nowcast_to_wire(nowcast: Nowcast) -> valuation_pb2.Nowcast:
    """Return a nowcast as the contract shows it."""
    return valuation_pb2.Nowcast(
        level=wire.decimal(nowcast.log_level.exp().quantize(FACTOR_SCALE)),
        standard_error=wire.decimal(nowcast.standard_error),
        first_month=wire.date(nowcast.first_month),
        last_month=wire.date(nowcast.last_month),
        sales=nowcast.sales,
    )


def _facts_to_wire(facts: Json) -> valuation_pb2.FactsUsed:
    """Return where a record's facts came from as the contract shows it."""

    def source(field: str) -> valuation_pb2.FactSource.ValueType:
        number: valuation_pb2.FactSource.ValueType = wire.enum_number(
            valuation_pb2.FactSource, facts[field], prefix="FACT_SOURCE_"
        )
        return number

    message = valuation_pb2.FactsUsed(
        hours_source=source("hours_source"),
        compliance_source=source("compliance_source"),
        stop_faults_source=source("stop_faults_source"),
        components=[
            valuation_pb2.FittedComponent(
                code=part["code"],
                serial_number=part["serial_number"],
                manufacture_class=part["manufacture_class"],
                install_date=wire.date(date.fromisoformat(part["install_date"])),
                hours_at_install=wire.decimal(Decimal(part["hours_at_install"])),
                label_no=part["label_no"],
                counted=part["counted"],
            )
            for part in facts["components"]
        ],
    )
    # Records from before inspections were read say nothing of them.
    if "condition_source" in facts:
        message.condition_source = source("condition_source")
    if (found := facts.get("inspection")) is not None:
        message.inspection.CopyFrom(
            valuation_pb2.ConditionFound(
                inspection=found["inspection"],
                condition=wire.enum_number(
                    valuation_pb2.Condition, found["condition"], prefix="CONDITION_"
                ),
                inspect_date=wire.date(date.fromisoformat(found["inspect_date"])),
                age_days=found["age_days"],
                counted=found["counted"],
            )
        )
    if facts["hours_time"] is not None:
        message.hours_time.CopyFrom(wire.instant(datetime.fromisoformat(facts["hours_time"])))
    return message


def specification_to_wire(specification: Specification) -> valuation_pb2.Specification:
    """Return a machine's facts as the contract shows them."""
    message = valuation_pb2.Specification(
        make=specification.make,
        model=specification.model,
        equipment_class=specification.equipment_class,
        build_year=specification.build_year or 0,
    )
    if specification.hours_meter is not None:
        message.hours_meter.CopyFrom(wire.decimal(specification.hours_meter))
    if specification.replacement_cost_fen is not None:
        message.replacement_cost.CopyFrom(wire.money(specification.replacement_cost_fen))
    return message


def curve_to_wire(
    valuation: Valuation, hours_per_year: Decimal, points: Sequence[CurvePoint]
) -> valuation_pb2.Curve:
    """Return a curve as the contract shows it."""
    recorded = read_record(valuation.record)
    return valuation_pb2.Curve(
        valuation=valuation.name,
        hours_per_year=wire.decimal(hours_per_year),
        model=name("models", recorded.model),
        policy=name("policies", recorded.policy),
        points=[
            valuation_pb2.CurvePoint(
                month=point.month,
                fmv=quantiles(point.values.fmv),
                olv=quantiles(point.values.olv),
                flv=quantiles(point.values.flv),
            )
            for point in points
        ],
    )


def model_to_wire(row: ModelVersion, model: ResidualValueModel | None) -> valuation_pb2.Model:
    """Return a model version as the contract shows it.

    Args:
        model: Its files; None where they are gone.
    """
    message = valuation_pb2.Model(
        name=row.name,
        uid=row.version,
        etag=etag(row.row_version),
        event_sequence=row.event_sequence,
        state=wire.enum_number(valuation_pb2.ModelState, row.state, prefix="MODEL_STATE_"),
        window_end=wire.date(row.window_end),
        sha256=row.sha256,
        trained_by=row.trained_by,
        approved_by=row.approved_by,
        gates=[
            valuation_pb2.Gate(code=gate.code, passed=gate.passed, description=gate.description)
            for gate in row.gates
        ],
        reason=row.reason,
        create_time=wire.instant(row.create_time),
        update_time=wire.instant(row.update_time),
    )
    if model is not None:
        message.window_start.CopyFrom(wire.date(model.window_start))
        message.training_rows = model.calibration.training_rows
        message.synthetic = model.calibration.synthetic
    return message


def policy_to_wire(policy: PolicyTable) -> valuation_pb2.Policy:
    """Return a policy table as the contract shows it."""
    return valuation_pb2.Policy(
        name=name("policies", policy.version),
        sha256=policy.sha256,
        lines=[
            valuation_pb2.PolicyLine(code=line.code, value=line.value, source=line.source)
            for line in policy.lines
        ],
    )


def _decimal(
    message: valuation_pb2.Specification | valuation_pb2.Overrides | valuation_pb2.Adjustments,
    field: str,
    *,
    prefix: str,
) -> Decimal | None:
    if not message.HasField(field):  # type: ignore[arg-type]  # a field of either message
        return None
    return wire.to_decimal(getattr(message, field), field=prefix + field)


def _cost(
    message: valuation_pb2.Specification | valuation_pb2.Overrides, *, prefix: str
) -> int | None:
    if not message.HasField("replacement_cost"):
        return None
    return wire.fen(message.replacement_cost, field=prefix + "replacement_cost", positive=True)
