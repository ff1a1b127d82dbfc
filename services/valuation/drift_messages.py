"""Drift as the contract shows it."""

from collections.abc import Collection, Sequence
from datetime import date
from decimal import Decimal

from google.type import decimal_pb2
from ironloop.valuation.v1 import drift_pb2

from services.kit import wire
from services.valuation.drift_model import SegmentFit
from services.valuation.label_model import Segment
from services.valuation.policy import PolicyTable

SCALE = Decimal("0.000001")
OFFERS_STOP_AT = 2  # the level of a DriftAlarm at which nothing is offered automatically


def month_to_wire(
    month: date, fits: Sequence[SegmentFit], policy: PolicyTable, *, wanted: Collection[str]
) -> drift_pb2.DriftMonth:
    """Return a month with the segments that are wanted."""
    return drift_pb2.DriftMonth(
        month=wire.date(month),
        segments=[_fit_to_wire(fit, policy) for fit in fits if fit.segment in wanted],
    )


def alarm_to_wire(alarm: Segment, policy: PolicyTable) -> drift_pb2.DriftState:
    """Return a segment's alarm with what the policy makes of it."""
    widening = policy.number("DRIFT.HAIRCUT_1") if alarm.level else Decimal(0)
    return drift_pb2.DriftState(
        segment=alarm.segment,
        level=alarm.level,
        findings=alarm.findings,
        event_sequence=alarm.event_sequence,
        update_time=wire.instant(alarm.update_time),
        haircut_widening=wire.decimal(widening),
        stops_offers=alarm.level >= OFFERS_STOP_AT,
    )


def _fit_to_wire(fit: SegmentFit, policy: PolicyTable) -> drift_pb2.SegmentDrift:
    limit = wire.decimal(policy.number("DRIFT.PSI_1"))
    return drift_pb2.SegmentDrift(
        segment=fit.segment,
        window_start=wire.date(fit.first),
        window_end=wire.date(fit.last),
        sales=fit.sales,
        bias=_figure(fit.bias),
        coverage_90=_figure(fit.coverage),
        features=[
            drift_pb2.FeatureDrift(feature=feature, psi=_figure(index), alarm_limit=limit)
            for feature, index in fit.features.items()
        ],
        level=fit.level,
    )


def _figure(value: float | None) -> decimal_pb2.Decimal | None:
    return None if value is None else wire.decimal(Decimal(value).quantize(SCALE))
