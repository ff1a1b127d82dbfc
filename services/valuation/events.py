"""The events of a valuation, built from its row and its record."""

from ironloop.common.v1 import common_pb2
from ironloop.valuation.v1 import valuation_events_pb2, valuation_pb2

from services.kit import wire
from services.kit.ids import name
from services.valuation.model import QuantilesFen, Valuation
from services.valuation.record import Recorded

PRODUCES = (
    valuation_events_pb2.ValuationIssued,
    valuation_events_pb2.ValuationSuperseded,
    valuation_events_pb2.ValuationRevoked,
    valuation_events_pb2.BatchValued,
    valuation_events_pb2.ModelPromoted,
    valuation_events_pb2.DriftAlarm,
)


def issued(valuation: Valuation, recorded: Recorded) -> valuation_events_pb2.ValuationIssued:
    """Return the event that a valuation may be relied on."""
    assert valuation.expire_time is not None
    appraisal = recorded.appraisal
    return valuation_events_pb2.ValuationIssued(
        subject=valuation.subject,
        sequence=valuation.event_sequence,
        valuation=valuation.name,
        party=valuation.party,
        machine=valuation.machine,
        as_of=wire.date(valuation.as_of),
        fmv=quantiles(appraisal.values.fmv),
        olv=quantiles(appraisal.values.olv),
        flv=quantiles(appraisal.values.flv),
        grade=wire.enum_number(valuation_pb2.Grade, appraisal.grade, prefix="GRADE_"),
        model=name("models", recorded.model),
        record_sha256=valuation.record_sha256,
        expire_time=wire.instant(valuation.expire_time),
    )


def superseded(valuation: Valuation) -> valuation_events_pb2.ValuationSuperseded:
    """Return the event that a later valuation took a valuation's place."""
    assert valuation.superseded_by is not None
    return valuation_events_pb2.ValuationSuperseded(
        subject=valuation.subject,
        sequence=valuation.event_sequence,
        valuation=valuation.name,
        party=valuation.party,
        machine=valuation.machine,
        superseded_by=name("valuations", valuation.superseded_by),
    )


def revoked(valuation: Valuation) -> valuation_events_pb2.ValuationRevoked:
    """Return the event that a valuation was taken back."""
    return valuation_events_pb2.ValuationRevoked(
        subject=valuation.subject,
        sequence=valuation.event_sequence,
        valuation=valuation.name,
        party=valuation.party,
        machine=valuation.machine,
        reason=valuation.decision_reason,
    )


def quantiles(amounts_fen: QuantilesFen) -> common_pb2.Quantiles:
    """Return the quantiles of a value as the contract shows them."""
    q05, q10, q50, q90, q95 = (wire.money(amount) for amount in amounts_fen)
    return common_pb2.Quantiles(q05=q05, q10=q10, q50=q50, q90=q90, q95=q95)
