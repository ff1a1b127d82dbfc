"""Why a machine is worth what it is: adjustments, explanation, comparables and index, served."""

from decimal import Decimal
from typing import Any

import pytest
from ironloop.common.v1 import common_pb2
from ironloop.valuation.v1 import explanations_pb2, valuation_pb2

from infra.local.client import Actor
from ml.residual_value import synthetic
from services.kit import wire
from tests.integration.valuation.desk import Desk, day, fen, request_id, specification
from tests.support.refusals import refused

pb, ex = valuation_pb2, explanations_pb2

WORN = {
    "condition": pb.CONDITION_FAIR,
    "maintenance_compliance": wire.decimal(Decimal("0.95")),
    "open_stop_faults": 1,
    "components": [pb.Component(code="ENGINE", hours_since_reman=wire.decimal(Decimal(800)))],
    "region": "EAST",
}
KNOWN = {"make": "Caterpillar", "model": "330CL", "equipment_class": "HYDRAULIC_EXCAVATOR"}


async def valued(desk: Desk, actor: Actor, stated: Any = None, **facts: Any) -> pb.Valuation:
    return await desk.of(actor).CreateValuation(
        pb.CreateValuationRequest(
            request_id=request_id(),
            specification=specification(**facts),
            overrides=pb.Overrides(adjustments=pb.Adjustments(**stated)) if stated else None,
        )
    )


def signed_fen(amount: Any) -> int:
    """Return an amount that may lie below zero in fen."""
    return int(amount.units * 100 + amount.nanos / 10_000_000)


async def test_what_is_stated_moves_the_value_and_stands_in_factors_and_record(desk: Desk) -> None:
    funder = await desk.world.party("FUNDER")
    plain, worn = await valued(desk, funder), await valued(desk, funder, WORN)
    assert fen(worn.flv.q50) < fen(plain.flv.q50)
    assert worn.adjustments == pb.Adjustments(**WORN)
    assert not plain.HasField("adjustments")
    assert [factor.code for factor in worn.factors][1:] == [
        "CONDITION.FAIR",
        "MAINTENANCE",
        "STOP_FAULTS",
        "COMPONENT.ENGINE",
        "REGION.EAST",
    ]
    replayed = await desk.replay(funder, worn.name)
    assert replayed.outcome == pb.REPLAY_OUTCOME_MATCH
    assert b'"open_stop_faults":1' in replayed.record


@pytest.mark.parametrize(
    ("stated", "field"),
    [
        ({"maintenance_compliance": wire.decimal(Decimal("1.01"))}, "maintenance_compliance"),
        ({"maintenance_compliance": wire.decimal(Decimal("-0.1"))}, "maintenance_compliance"),
        ({"open_stop_faults": -1}, "open_stop_faults"),
        ({"condition": 9}, "condition"),
        ({"region": "ATLANTIS"}, "region"),
        ({"channel": "BAZAAR"}, "channel"),
        (
            {"components": [pb.Component(code="SAIL", hours_since_reman=wire.decimal(Decimal(1)))]},
            "components[0].code",
        ),
        ({"components": [*WORN["components"], *WORN["components"]]}, "components[1].code"),
        (
            {
                "components": [
                    pb.Component(code="ENGINE", hours_since_reman=wire.decimal(Decimal(5_001)))
                ]
            },
            "components[0].hours_since_reman",
        ),
    ],
)
async def test_a_statement_out_of_its_limits_is_refused_by_its_field(
    desk: Desk, stated: dict[str, Any], field: str
) -> None:
    funder = await desk.world.party("FUNDER")
    with refused("INVALID_FIELD") as refusal:
        await valued(desk, funder, stated)
    assert field in str(refusal.status)


@pytest.mark.parametrize("facts", [{}, KNOWN], ids=["retained_share", "model_price"])
async def test_an_explanation_adds_up_to_each_value_to_the_fen(
    desk: Desk, facts: dict[str, Any]
) -> None:
    funder = await desk.world.party("FUNDER")
    valuation = await valued(desk, funder, WORN, **facts)
    for basis, value in (
        (common_pb2.VALUE_BASIS_UNSPECIFIED, valuation.fmv),
        (common_pb2.VALUE_BASIS_FMV, valuation.fmv),
        (common_pb2.VALUE_BASIS_OLV, valuation.olv),
        (common_pb2.VALUE_BASIS_FLV, valuation.flv),
    ):
        explanation = await desk.of(funder).ExplainValuation(
            ex.ExplainValuationRequest(valuation=valuation.name, basis=basis)
        )
        total = fen(explanation.start) + sum(signed_fen(line.amount) for line in explanation.lines)
        assert total == fen(explanation.value) == fen(value.q50)
        codes = [line.code for line in explanation.lines]
        assert {factor.code for factor in valuation.factors} <= set(codes)
        assert {"AGE", "HOURS", "MODEL", "EQUIPMENT"} <= set(codes)
    stranger = await desk.world.party("FUNDER")
    with refused("NOT_FOUND"):
        await desk.of(stranger).ExplainValuation(
            ex.ExplainValuationRequest(valuation=valuation.name)
        )


async def test_a_curve_takes_the_maintenance_compliance(desk: Desk) -> None:
    funder = await desk.world.party("FUNDER")
    valuation = await valued(desk, funder)
    kept, neglected = [
        await desk.of(funder).GetCurve(
            pb.GetCurveRequest(
                valuation=valuation.name,
                months=36,
                maintenance_compliance=wire.decimal(Decimal(share)),
            )
        )
        for share in ("1", "0.2")
    ]
    assert kept.points[0] == neglected.points[0]
    assert fen(kept.points[0].flv.q50) == fen(valuation.flv.q50)
    assert fen(kept.points[-1].flv.q50) > fen(neglected.points[-1].flv.q50)
    with refused("INVALID_FIELD"):
        await desk.of(funder).GetCurve(
            pb.GetCurveRequest(
                valuation=valuation.name,
                months=12,
                maintenance_compliance=wire.decimal(Decimal(2)),
            )
        )


async def test_comparables_are_near_sourced_and_made_comparable(desk: Desk) -> None:
    funder = await desk.world.party("FUNDER")
    valuation = await valued(desk, funder, WORN, **KNOWN)
    first = await desk.of(funder).ListComparables(
        ex.ListComparablesRequest(valuation=valuation.name, page_size=6)
    )
    assert first.synthetic
    assert "generator" in first.note
    assert len(first.comparables) == 6
    distances = [Decimal(one.distance.value) for one in first.comparables]
    assert distances == sorted(distances)
    for one in first.comparables:
        product = Decimal(fen(one.price))
        for adjustment in one.adjustments:
            product *= Decimal(adjustment.factor.value)
        assert fen(one.adjusted_price) == pytest.approx(float(product), abs=1)
        assert {"MODEL", "CONDITION.FAIR"} <= {step.code for step in one.adjustments}
        assert one.HasField("sold_on")
    second = await desk.of(funder).ListComparables(
        ex.ListComparablesRequest(
            valuation=valuation.name, page_size=6, page_token=first.next_page_token
        )
    )
    assert Decimal(second.comparables[0].distance.value) >= distances[-1]


async def test_fewer_comparables_than_five_are_said_to_be_few(desk: Desk) -> None:
    funder = await desk.world.party("FUNDER")
    early = await desk.of(funder).CreateValuation(
        pb.CreateValuationRequest(
            request_id=request_id(),
            specification=specification(build_year=2005),
            as_of=day(2010, 1, 1),
        )
    )
    listed = await desk.of(funder).ListComparables(ex.ListComparablesRequest(valuation=early.name))
    assert not listed.comparables
    assert listed.note.startswith("only 0 comparable sales")


async def test_a_users_own_sales_are_shown_as_they_are(desk: Desk, tmp_path: Any) -> None:
    own = tmp_path / "own.parquet"
    frame = synthetic.generate(400, seed=3)
    frame.with_columns(source=frame["source"].str.replace("synthetic", "own")).write_parquet(own)
    await desk.restart(comparables=own)
    try:
        funder = await desk.world.party("FUNDER")
        valuation = await valued(desk, funder, **KNOWN)
        listed = await desk.of(funder).ListComparables(
            ex.ListComparablesRequest(valuation=valuation.name)
        )
        assert not listed.synthetic
        assert len(listed.comparables) == 10
        assert listed.note == "sales of the operator's own file"
    finally:
        await desk.restart()


async def test_the_index_of_a_group_has_standard_errors_and_ends_at_one(desk: Desk) -> None:
    stub = desk.of(await desk.world.party("BUYER"))
    series = await stub.GetIndexSeries(ex.GetIndexSeriesRequest(product_group="TEX"))
    assert len(series.points) > 90
    assert series.points[-1].value.value == "1.000000"
    assert all(Decimal(point.standard_error.value) > 0 for point in series.points[:-1])
    assert not series.nowcast
    pooled = await stub.GetIndexSeries(ex.GetIndexSeriesRequest())
    assert pooled.points[0].value != series.points[0].value
    with refused("NOT_FOUND"):
        await stub.GetIndexSeries(ex.GetIndexSeriesRequest(model="models/none"))
