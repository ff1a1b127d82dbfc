"""Settled orders become labels with the seller's consent, and drifted ones raise the alarm."""

import math
from typing import Any

import pytest
from ironloop.marketplace.v1 import machines_pb2
from ironloop.valuation.v1 import drift_pb2, explanations_pb2, valuation_events_pb2

from infra.local.client import Actor
from services.finmath.dates import add_months
from services.kit import wire
from tests.integration.valuation.desk import Desk, fen
from tests.integration.valuation.sales import consent, label_of, make_labels, settle
from tests.support.refusals import refused


async def alarms(desk: Desk) -> list[valuation_events_pb2.DriftAlarm]:
    async with desk.world.running["valuation"].runtime.database.read() as connection:
        rows = await connection.fetch(
            "select payload from outbox where headers->>'ce_type' like '%DriftAlarm' order by seq"
        )
    return [valuation_events_pb2.DriftAlarm.FromString(row["payload"]) for row in rows]


async def test_a_sale_is_a_label_with_consent_and_forgotten_without(desk: Desk) -> None:
    willing, silent, former = [await desk.world.party("SELLER") for _ in range(3)]
    await consent(desk, willing)
    await consent(desk, former)
    await consent(desk, former, revoked=True)
    orders = [
        await settle(desk, seller, await desk.machine(seller), 700_000_00)
        for seller in (willing, silent, former)
    ]
    await make_labels(desk)
    label, *withheld = [await label_of(desk, order) for order in orders]
    assert (label["state"], label["price_fen"]) == ("LABEL", 700_000_00)
    assert label["consent"] == f"consents/of-{willing.party}"
    assert label["specification"]["model"] == "SY215C"
    for row in withheld:
        assert (row["state"], row["price_fen"], row["consent"]) == ("WITHHELD", None, "")


async def test_a_drifted_month_raises_the_alarm_once_and_shows_in_the_nowcast(desk: Desk) -> None:
    seller = await desk.world.party("SELLER")
    await consent(desk, seller)
    machine = await desk.machine(seller)
    valued = await desk.value(seller, machine)
    paid = round(fen(valued.fmv.q50) * 1.3)
    for _ in range(32):
        await settle(desk, seller, machine, paid)
    await make_labels(desk)
    by_segment = {alarm.segment: alarm for alarm in await alarms(desk)}
    alarm = by_segment["TEX"]
    assert (alarm.level, alarm.sequence) == (2, 1)
    assert alarm.equipment_classes == ["HYDRAULIC_EXCAVATOR"]
    assert alarm.findings[0].startswith("bias -0.2")
    assert by_segment["ALL"].level == 1
    await settle(desk, seller, machine, paid)
    await make_labels(desk)
    assert len([one for one in await alarms(desk) if one.segment == "TEX"]) == 1
    series = await desk.of(seller).GetIndexSeries(
        explanations_pb2.GetIndexSeriesRequest(product_group="TEX")
    )
    (point,) = series.nowcast
    assert 1.2 < float(point.value.value) < 1.35


async def drift(desk: Desk, reader: Actor, **fields: Any) -> drift_pb2.ListDriftResponse:
    return await desk.of(reader).ListDrift(drift_pb2.ListDriftRequest(**fields))


async def test_drift_is_read_by_month_with_the_alarm_and_the_haircut_it_widens(desk: Desk) -> None:
    seller, funder = await desk.world.party("SELLER"), await desk.world.party("FUNDER")
    await consent(desk, seller)
    machine = await desk.machine(
        seller, make="CAT", model="950", equipment_class=machines_pb2.EQUIPMENT_CLASS_WHEEL_LOADER
    )
    paid = round(fen((await desk.value(seller, machine)).fmv.q50) / 1.2)
    today = desk.world.today()
    former = add_months(today.replace(day=1), -4)  # its window and this month's do not meet
    for sold_on, sales in ((former, 4), (today, 30)):
        for _ in range(sales):
            await settle(desk, seller, machine, paid, sold_on=sold_on)
    await make_labels(desk)

    found = await drift(desk, funder, segment="WL")
    now, then = found.months
    assert (now.month, then.month) == (wire.date(today.replace(day=1)), wire.date(former))
    (loaders,) = now.segments
    assert (loaders.segment, loaders.sales, loaders.level) == ("WL", 30, 2)
    assert float(loaders.bias.value) == pytest.approx(math.log(1.2), abs=0.001)
    assert loaders.window_end == wire.date(today)
    assert {one.feature for one in loaders.features} >= {"age_years", "hours_meter"}
    assert all(one.alarm_limit.value == "0.25" for one in loaders.features)
    (few,) = then.segments
    assert (few.sales, few.level) == (4, 0)
    assert not few.HasField("bias") and not few.HasField("coverage_90") and not few.features

    (alarm,) = found.alarms
    assert (alarm.level, alarm.stops_offers, alarm.haircut_widening.value) == (2, True, "0.05")
    assert alarm.findings[0].startswith("bias +0.18")

    first = await drift(desk, funder, segment="WL", page_size=1)
    assert list(first.months) == [now]
    second = await drift(desk, funder, segment="WL", page_size=1, page_token=first.next_page_token)
    assert (list(second.months), second.next_page_token) == ([then], "")
    everything = await drift(desk, funder)
    assert everything.months[0].segments[0].segment == "ALL"


async def test_drift_is_refused_by_reason(desk: Desk) -> None:
    funder = await desk.world.party("FUNDER")
    with refused("INVALID_FIELD"):
        await drift(desk, funder, segment="XXX")
    with refused("NOT_FOUND"):
        await drift(desk, funder, model="models/never-trained")
    with refused("INVALID_PAGE_TOKEN"):
        await drift(desk, funder, page_token="forged")
    assert not (await drift(desk, funder, segment="MG")).months
