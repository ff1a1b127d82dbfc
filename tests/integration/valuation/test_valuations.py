"""A machine is valued, the value stands or gives way, and only those see it whose it is."""

from datetime import timedelta
from decimal import Decimal

import pytest
from google.type import date_pb2
from ironloop.marketplace.v1 import machines_pb2
from ironloop.valuation.v1 import valuation_events_pb2, valuation_pb2

from services.kit import wire
from tests.integration.valuation.desk import Desk, day, fen, request_id, specification
from tests.support.refusals import refused

pb = valuation_pb2


async def test_a_registered_machine_is_valued_and_the_value_issued(desk: Desk) -> None:
    seller = await desk.world.party("SELLER")
    machine = await desk.machine(seller)
    valuation = await desk.value(seller, machine)
    assert valuation.state == pb.VALUATION_STATE_ISSUED
    assert (valuation.party, valuation.machine) == (seller.party, machine)
    assert valuation.specification.model == "SY215C"
    assert valuation.specification.hours_meter.value == "3250.50"
    assert fen(valuation.replacement_cost) == 1_200_000_00
    assert valuation.method == pb.METHOD_RETAINED_SHARE
    assert valuation.grade == pb.GRADE_C
    assert [rule.code for rule in valuation.grade_rules][:2] == [
        "MODEL_UNKNOWN",
        "AS_OF_AFTER_WINDOW",
    ]
    assert fen(valuation.flv.q50) < fen(valuation.olv.q50) < fen(valuation.fmv.q50)
    issued = valuation.issue_time.ToDatetime()
    assert valuation.expire_time.ToDatetime() - issued == timedelta(days=30)
    assert await desk.get(seller, valuation.name) == valuation


async def test_a_specification_is_valued_without_a_machine(desk: Desk) -> None:
    funder = await desk.world.party("FUNDER")
    valuation = await desk.of(funder).CreateValuation(
        pb.CreateValuationRequest(request_id=request_id(), specification=specification())
    )
    assert valuation.machine == ""
    assert await desk.get(funder, valuation.name) == valuation
    (event,) = await desk.events(valuation.name)
    assert isinstance(event, valuation_events_pb2.ValuationIssued)
    assert (event.subject, event.sequence, event.machine) == (valuation.name, 1, "")


async def test_a_retried_request_gives_the_same_valuation_and_asks_nobody(desk: Desk) -> None:
    seller = await desk.world.party("SELLER")
    machine = await desk.machine(seller)
    request = pb.CreateValuationRequest(request_id=request_id(), machine=machine)
    first = await desk.of(seller).CreateValuation(request)
    marketplace = desk.world.running["marketplace"].definition
    await desk.world.stop("marketplace")
    try:
        assert await desk.of(seller).CreateValuation(request) == first
        with refused("PEER_UNAVAILABLE"):
            await desk.value(seller, machine)
    finally:
        await desk.world.start(marketplace)
        await desk.world.channel("marketplace").channel_ready()
    with refused("REQUEST_ID_REUSED"):
        request.as_of.CopyFrom(day(2026, 1, 1))
        await desk.of(seller).CreateValuation(request)
    assert len(await desk.events(machine)) == 1


async def test_a_refusal_is_given_again(desk: Desk) -> None:
    funder = await desk.world.party("FUNDER")
    request = pb.CreateValuationRequest(
        request_id=request_id(), specification=specification(replacement_cost=None)
    )
    for _ in range(2):
        with refused("REPLACEMENT_COST_NEEDED"):
            await desk.of(funder).CreateValuation(request)


async def test_a_later_valuation_supersedes_the_partys_former_one(desk: Desk) -> None:
    seller, world = await desk.world.party("SELLER"), desk.world
    machine = await desk.machine(seller)
    first = await desk.value(seller, machine)
    for_funder = (await world.party("FUNDER")).party
    other = await desk.value(world.service("finance"), machine, party=for_funder)
    second = await desk.value(seller, machine)
    former = await desk.get(seller, first.name)
    assert former.state == pb.VALUATION_STATE_SUPERSEDED
    assert former.superseded_by == second.name
    assert former.record_sha256 == first.record_sha256
    untouched = await desk.get(world.operator, other.name)
    assert untouched.state == pb.VALUATION_STATE_ISSUED
    events = await desk.events(machine)
    assert [type(event).__name__ for event in events] == [
        "ValuationIssued",
        "ValuationIssued",
        "ValuationSuperseded",
        "ValuationIssued",
    ]
    assert [event.sequence for event in events] == [1, 2, 3, 4]  # type: ignore[attr-defined]


async def test_a_back_dated_valuation_leaves_the_present_one(desk: Desk) -> None:
    seller = await desk.world.party("SELLER")
    machine = await desk.machine(seller)
    present = await desk.value(seller, machine)
    past = await desk.value(seller, machine, as_of=day(2023, 6, 1))
    assert past.state == pb.VALUATION_STATE_ISSUED
    assert (await desk.get(seller, present.name)).state == pb.VALUATION_STATE_ISSUED


async def test_another_partys_valuation_and_machine_are_not_found(desk: Desk) -> None:
    seller, stranger = await desk.world.party("SELLER"), await desk.world.party("SELLER", "FUNDER")
    machine = await desk.machine(seller)
    valuation = await desk.value(seller, machine)
    with refused("NOT_FOUND"):
        await desk.get(stranger, valuation.name)
    with refused("NOT_FOUND"):
        await desk.of(stranger).GetCurve(pb.GetCurveRequest(valuation=valuation.name, months=12))
    with refused("NOT_FOUND"):
        await desk.replay(stranger, valuation.name)
    with refused("NOT_FOUND"):
        await desk.value(stranger, machine)
    with refused("NOT_FOUND"):
        await desk.value(seller, "machines/0190a6f2-0000-7000-8000-000000000000")
    listed = await desk.of(stranger).ListValuations(pb.ListValuationsRequest())
    assert not listed.valuations
    listed = await desk.of(stranger).ListValuations(pb.ListValuationsRequest(machine=machine))
    assert not listed.valuations


async def test_only_a_service_names_another_party(desk: Desk) -> None:
    seller, other = await desk.world.party("SELLER"), await desk.world.party("FUNDER")
    machine = await desk.machine(seller)
    with refused("OTHER_PARTY"):
        await desk.value(seller, machine, party=other.party)
    with refused("INVALID_FIELD"):
        await desk.value(desk.world.service("finance"), machine)
    valuation = await desk.value(desk.world.service("finance"), machine, party=other.party)
    assert (await desk.get(other, valuation.name)).party == other.party
    with refused("PERMISSION_DENIED"):
        await desk.value(await desk.world.party("TECHNICIAN"), machine)


async def test_valuations_are_listed_page_by_page_the_newest_first(desk: Desk) -> None:
    seller = await desk.world.party("SELLER")
    machines = [await desk.machine(seller) for _ in range(2)]
    made = [await desk.value(seller, machines[number % 2]) for number in range(5)]
    stub, found, token = desk.of(seller), [], ""
    while True:
        page = await stub.ListValuations(pb.ListValuationsRequest(page_size=2, page_token=token))
        found += [valuation.name for valuation in page.valuations]
        if not (token := page.next_page_token):
            break
    assert found == [valuation.name for valuation in reversed(made)]
    issued = await stub.ListValuations(
        pb.ListValuationsRequest(machine=machines[0], state=pb.VALUATION_STATE_ISSUED)
    )
    assert [valuation.name for valuation in issued.valuations] == [made[4].name]


async def test_overrides_are_kept_and_named(desk: Desk) -> None:
    seller = await desk.world.party("SELLER")
    machine = await desk.machine(seller)
    plain = await desk.value(seller, machine)
    overrides = pb.Overrides(
        hours_meter=wire.decimal(Decimal(9_000)), olv_weight=wire.decimal(Decimal(0))
    )
    changed = await desk.value(seller, machine, overrides=overrides)
    assert fen(changed.flv.q50) < fen(plain.flv.q50)
    assert changed.olv == changed.flv
    (rule,) = (rule for rule in changed.grade_rules if rule.code == "OVERRIDDEN")
    assert rule.description == "the caller stated hours_meter, olv_weight"


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"hours_meter": wire.decimal(Decimal(-1))}, "specification.hours_meter"),
        ({"hours_meter": wire.decimal(Decimal(1_000_001))}, "specification.hours_meter"),
        ({"build_year": 2199}, "specification.build_year"),
        ({"build_year": 1800}, "specification.build_year"),
        ({"equipment_class": "submarine"}, "specification.equipment_class"),
        ({"replacement_cost": wire.money(0)}, "specification.replacement_cost"),
        ({"replacement_cost": wire.money(100, "USD")}, "specification.replacement_cost"),
    ],
)
async def test_a_bad_fact_is_refused_by_its_field(
    desk: Desk, facts: dict[str, object], field: str
) -> None:
    funder = await desk.world.party("FUNDER")
    with refused("INVALID_FIELD") as refusal:
        await desk.of(funder).CreateValuation(
            pb.CreateValuationRequest(request_id=request_id(), specification=specification(**facts))
        )
    assert field in refusal.status.message


async def test_a_class_that_no_policy_lists_is_refused(desk: Desk) -> None:
    funder = await desk.world.party("FUNDER")
    with refused("CLASS_UNKNOWN"):
        await desk.of(funder).CreateValuation(
            pb.CreateValuationRequest(
                request_id=request_id(), specification=specification(equipment_class="SUBMARINE")
            )
        )


async def test_an_as_of_date_in_the_future_or_before_the_machine_is_refused(desk: Desk) -> None:
    seller = await desk.world.party("SELLER")
    machine = await desk.machine(seller)
    for as_of in (wire.date(desk.world.today() + timedelta(days=1)), day(2021, 12, 31)):
        with refused("INVALID_FIELD") as refusal:
            await desk.value(seller, machine, as_of=as_of)
        assert "as_of" in refusal.status.message
    with refused("INVALID_FIELD"):
        await desk.value(seller, machine, as_of=date_pb2.Date(year=2026, month=2, day=30))


async def test_a_curve_falls_from_the_valuation_on(desk: Desk) -> None:
    seller = await desk.world.party("SELLER")
    valuation = await desk.value(seller, await desk.machine(seller))
    curve = await desk.of(seller).GetCurve(
        pb.GetCurveRequest(
            valuation=valuation.name,
            months=84,
            step_months=1,
            hours_per_year=wire.decimal(Decimal(1_800)),
        )
    )
    assert [point.month for point in curve.points] == list(range(85))
    first = curve.points[0]
    assert (first.fmv, first.olv, first.flv) == (valuation.fmv, valuation.olv, valuation.flv)
    tail = [fen(point.flv.q10) for point in curve.points]
    assert tail == sorted(tail, reverse=True)
    assert tail[-1] < tail[0]
    usual = await desk.of(seller).GetCurve(pb.GetCurveRequest(valuation=valuation.name, months=7))
    assert usual.hours_per_year.value == "1500"
    assert [point.month for point in usual.points] == [0, 3, 6, 7]
    with refused("INVALID_FIELD"):
        await desk.of(seller).GetCurve(
            pb.GetCurveRequest(
                valuation=valuation.name, months=6, hours_per_year=wire.decimal(Decimal(9_000))
            )
        )


async def test_a_machine_of_unknown_age_has_a_value_and_no_curve(desk: Desk) -> None:
    seller = await desk.world.party("SELLER")
    valuation = await desk.value(seller, await desk.machine(seller, build_year=0))
    assert "BUILD_YEAR_UNKNOWN" in {rule.code for rule in valuation.grade_rules}
    assert fen(valuation.fmv.q50) > 0
    with refused("BUILD_YEAR_UNKNOWN"):
        await desk.of(seller).GetCurve(pb.GetCurveRequest(valuation=valuation.name, months=12))


async def test_a_machine_of_another_class_waits_for_a_validator(desk: Desk) -> None:
    seller = await desk.world.party("SELLER")
    machine = await desk.machine(seller, equipment_class=machines_pb2.EQUIPMENT_CLASS_OTHER)
    valuation = await desk.value(seller, machine)
    assert valuation.state == pb.VALUATION_STATE_IN_REVIEW
    assert valuation.grade == pb.GRADE_D
    assert valuation.review_reasons[0].startswith("CLASS_NOT_COVERED")
    assert not valuation.HasField("expire_time")
    assert await desk.events(machine) == []


async def test_an_issued_valuation_expires_after_thirty_days(desk: Desk) -> None:
    seller = await desk.world.party("SELLER")
    valuation = await desk.value(seller, await desk.machine(seller))
    await desk.world.advance_days(29)
    assert (await desk.get(seller, valuation.name)).state == pb.VALUATION_STATE_ISSUED
    await desk.world.advance_days(1)
    expired = await desk.get(seller, valuation.name)
    assert expired.state == pb.VALUATION_STATE_EXPIRED
    assert expired.record_sha256 == valuation.record_sha256
    with refused("TRANSITION_REFUSED"):
        await desk.revoke(desk.world.operator, valuation.name)
