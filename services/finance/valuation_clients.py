"""Calls to valuation; never made inside a transaction."""

from decimal import Decimal
from typing import Any

import grpc
from google.type import money_pb2
from ironloop.valuation.v1 import valuation_pb2, valuation_pb2_grpc

from services.finance.offer_model import Appraisal
from services.kit import wire
from services.kit.clients import PeerRefused
from services.kit.runtime import Runtime


async def appraise(
    runtime: Runtime, *, request_id: str, machine: str, party: str, actor: str
) -> Appraisal:
    """Have a machine valued as of today, for a party."""
    valuation = await runtime.peers.call(
        _stub(runtime).CreateValuation,
        valuation_pb2.CreateValuationRequest(request_id=request_id, party=party, machine=machine),
        on_behalf_of=actor,
    )
    return Appraisal(
        valuation=valuation.name,
        record_sha256=valuation.record_sha256,
        state=_state(valuation),
        grade=wire.enum_name(valuation_pb2.Grade, valuation.grade, prefix="GRADE_"),
        fmv_median_fen=_fen(valuation.fmv.q50),
        fmv_q10_fen=_fen(valuation.fmv.q10),
        olv_median_fen=_fen(valuation.olv.q50),
        olv_q10_fen=_fen(valuation.olv.q10),
        flv_q10_fen=_fen(valuation.flv.q10),
        expire_at=valuation.expire_time.ToDatetime(tzinfo=runtime.clock.now().tzinfo),
    )


async def valuation_state(runtime: Runtime, valuation: str, *, actor: str) -> str:
    """Return whether a valuation may still be relied on: its state's name."""
    found = await runtime.peers.call(
        _stub(runtime).GetValuation,
        valuation_pb2.GetValuationRequest(name=valuation),
        on_behalf_of=actor,
    )
    return _state(found)


async def make_value(
    runtime: Runtime, *, request_id: str, machine: str, party: str
) -> dict[str, Any]:
    """Have a machine valued as of today for a party, in finance's own name; see `get_value`."""
    return _value(
        await runtime.peers.call(
            _stub(runtime).CreateValuation,
            valuation_pb2.CreateValuationRequest(
                request_id=request_id, party=party, machine=machine
            ),
        )
    )


async def get_value(runtime: Runtime, valuation: str) -> dict[str, Any]:
    """Return what a valuation says, as a saga keeps it: amounts in fen, numbers as text."""
    return _value(
        await runtime.peers.call(
            _stub(runtime).GetValuation, valuation_pb2.GetValuationRequest(name=valuation)
        )
    )


async def flv_q10_curve(
    runtime: Runtime, valuation: str, *, hours_per_year: int, months: int, actor: str
) -> list[int]:
    """Return FLV q10 in fen after month 0, 1, … `months`."""
    curve = await _curve(
        runtime, valuation, hours_per_year=hours_per_year, months=months, actor=actor
    )
    return [_fen(point.flv.q10) for point in curve]


async def find_curve(
    runtime: Runtime, valuation: str, *, hours_per_year: int, months: int
) -> tuple[list[int], list[int]] | None:
    """Return OLV q10 and FLV q10 in fen after month 0, 1, … `months`.

    Returns:
        None for a machine whose age is not known: it has no curve.
    """
    try:
        curve = await _curve(
            runtime, valuation, hours_per_year=hours_per_year, months=months, actor=""
        )
    except PeerRefused as refusal:
        if refusal.code is not grpc.StatusCode.FAILED_PRECONDITION:
            raise
        return None
    return [_fen(point.olv.q10) for point in curve], [_fen(point.flv.q10) for point in curve]


async def _curve(
    runtime: Runtime, valuation: str, *, hours_per_year: int, months: int, actor: str
) -> list[valuation_pb2.CurvePoint]:
    curve = await runtime.peers.call(
        _stub(runtime).GetCurve,
        valuation_pb2.GetCurveRequest(
            valuation=valuation,
            hours_per_year=wire.decimal(Decimal(hours_per_year)),
            months=months,
            step_months=1,
        ),
        on_behalf_of=actor,
    )
    return sorted(curve.points, key=lambda point: point.month)


def _value(found: valuation_pb2.Valuation) -> dict[str, Any]:
    facts, known = found.specification, found.adjustments
    has_hours, has_compliance = (
        facts.HasField("hours_meter"),
        known.HasField("maintenance_compliance"),
    )
    return {
        "valuation": found.name,
        "state": _state(found),
        "as_of": wire.to_date(found.as_of, field="as_of").isoformat(),
        "olv_q10_fen": _fen(found.olv.q10),
        "olv_median_fen": _fen(found.olv.q50),
        "equipment_class": facts.equipment_class,
        "hours": facts.hours_meter.value if has_hours else None,
        "compliance": known.maintenance_compliance.value if has_compliance else None,
    }


def _state(found: valuation_pb2.Valuation) -> str:
    return wire.enum_name(valuation_pb2.ValuationState, found.state, prefix="VALUATION_STATE_")


def _fen(amount: money_pb2.Money) -> int:
    return wire.fen(amount, field="amount")


def _stub(runtime: Runtime) -> "valuation_pb2_grpc.ValuationServiceAsyncStub":
    return runtime.peers.stub("valuation", valuation_pb2_grpc.ValuationServiceStub)
