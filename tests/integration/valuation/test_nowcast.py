"""The nowcast: a factor of its own, as it was known when a value was computed."""

import asyncio
import json
from datetime import timedelta
from typing import Any

from ironloop.common.v1 import common_pb2
from ironloop.marketplace.v1 import machines_pb2
from ironloop.valuation.v1 import explanations_pb2, portfolios_pb2, portfolios_pb2_grpc
from ironloop.valuation.v1 import valuation_pb2 as pb

from infra.local.client import Actor
from services.finmath.dates import add_months
from services.kit import wire
from tests.integration.valuation.desk import Desk, fen, request_id, specification
from tests.integration.valuation.sales import consent, make_labels, settle

QUANTILES = ("q05", "q10", "q50", "q90", "q95")


async def sell(desk: Desk, *, months_ago: int, sales: int, at: float) -> None:
    """Settle sales of a loader at a multiple of what it is worth, in an earlier month."""
    seller = await desk.world.party("SELLER")
    await consent(desk, seller)
    machine = await desk.machine(
        seller,
        make="XCMG",
        model="LW500",
        equipment_class=machines_pb2.EQUIPMENT_CLASS_WHEEL_LOADER,
    )
    first = add_months(desk.world.today().replace(day=1), -months_ago)
    worth = await desk.value(seller, machine, as_of=wire.date(first - timedelta(days=1)))
    for number in range(sales):
        day = first + timedelta(days=number % 28)
        await settle(desk, seller, machine, round(fen(worth.fmv.q50) * at), sold_on=day)
    await make_labels(desk)


async def loader(desk: Desk, actor: Actor, **fields: Any) -> pb.Valuation:
    """Value a loader by its facts."""
    stated: dict[str, Any] = {"request_id": request_id(), "specification": specification()}
    return await desk.of(actor).CreateValuation(pb.CreateValuationRequest(**(stated | fields)))


async def until_sales(desk: Desk, actor: Actor, sales: int) -> pb.Valuation:
    """Value a loader anew until its nowcast knows of so many sales."""
    async with asyncio.timeout(60):
        while True:
            value = await loader(desk, actor)
            if value.nowcast.sales == sales:
                return value
            await asyncio.sleep(0.1)


def factors(value: pb.Valuation) -> dict[str, pb.Factor]:
    """Return a valuation's factors by code."""
    return {factor.code: factor for factor in value.factors}


async def test_sales_of_whole_months_before_are_a_factor_of_their_own_and_replay(
    desk: Desk,
) -> None:
    funder = await desk.world.party("FUNDER")
    none = await loader(desk, funder)
    assert not none.HasField("nowcast")

    await sell(desk, months_ago=0, sales=6, at=1.4)  # of a month that has not ended
    await sell(desk, months_ago=2, sales=20, at=1.2)
    value = await until_sales(desk, funder, 20)
    own = value.nowcast
    month = add_months(desk.world.today().replace(day=1), -2)
    assert own.first_month == own.last_month == wire.date(month)
    assert 1.1 < float(own.level.value) < 1.3
    applied = factors(value)["NOWCAST"]
    assert 1 < float(applied.value.value) < float(own.level.value)
    assert applied.source.startswith(f"20 sales of {month:%Y-%m} to {month:%Y-%m}: ")
    assert fen(value.flv.q50) > fen(none.flv.q50)

    explained = await desk.of(funder).ExplainValuation(
        explanations_pb2.ExplainValuationRequest(
            valuation=value.name, basis=common_pb2.VALUE_BASIS_FMV
        )
    )
    (line,) = [one for one in explained.lines if one.code == "NOWCAST"]
    assert line.description.startswith("nowcast beside the model: 20 sales of ")

    before = await loader(desk, funder, as_of=wire.date(month))
    assert not before.HasField("nowcast")  # its sales came later than that day

    # What has arrived since changes new values, and no replay of an earlier one.
    await sell(desk, months_ago=1, sales=10, at=0.9)
    await until_sales(desk, funder, 30)
    replayed = await desk.replay(funder, value.name)
    assert replayed.outcome == pb.REPLAY_OUTCOME_MATCH
    assert json.loads(replayed.record)["inputs"]["nowcast"]["sales"] == 20
    replayed = await desk.replay(funder, none.name)
    assert replayed.outcome == pb.REPLAY_OUTCOME_MATCH


async def test_a_stream_is_valued_with_the_nowcast_that_a_single_value_has(desk: Desk) -> None:
    funder = await desk.world.party("FUNDER")
    await sell(desk, months_ago=3, sales=7, at=1.1)
    sales = 37 if (await loader(desk, funder)).HasField("nowcast") else 7
    single = await until_sales(desk, funder, sales)
    row = portfolios_pb2.PortfolioRow(
        make="XCMG",
        model="LW500",
        equipment_class="WHEEL_LOADER",
        build_year=2020,
        hours_meter=5_000.0,
        replacement_cost_fen=400_000_00,
    )
    name = request_id()

    async def stream() -> tuple[portfolios_pb2.ValuedRow, portfolios_pb2.Batch]:
        stub: Any = funder.stub(portfolios_pb2_grpc.PortfolioServiceStub, service="valuation")
        request = portfolios_pb2.StreamValuationsRequest(request_id=name, rows=[row])
        first, last = [one async for one in stub.StreamValuations(iter([request]))]
        return first.rows[0], last.batch

    valued, batch = await stream()
    assert list(valued.fmv_fen) == [fen(getattr(single.fmv, one)) for one in QUANTILES]
    assert batch.nowcasts["WL"] == single.nowcast

    # The same stream again makes the same batch, whatever sales have come since.
    await sell(desk, months_ago=1, sales=5, at=0.8)
    await until_sales(desk, funder, sales + 5)
    assert await stream() == (valued, batch)
