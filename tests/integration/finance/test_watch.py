"""The collateral watch: machines valued again for their causes, draws short, cured, enforced."""

import asyncio
from datetime import timedelta
from decimal import Decimal

import pytest
from ironloop.finance.v1 import finance_events_pb2, finance_pb2, watch_pb2
from ironloop.leasing.v1 import leasing_events_pb2
from ironloop.maintenance.v1 import maintenance_events_pb2
from ironloop.remanufacturing.v1 import reman_pb2, remanufacturing_events_pb2
from ironloop.valuation.v1 import valuation_events_pb2, valuation_pb2

from services.finance import watch_consumers
from services.kit import wire
from services.kit.calendar import CHINA
from tests.integration.finance.lending import WE_7_FEN, Lending, eventually, fen, finance, rid
from tests.integration.finance.valuer import FLV_Q10_FEN, OLV_Q10_FEN, Valuer
from tests.integration.finance.watching import (
    cover_of,
    day,
    hear,
    read_hours,
    revaluations,
    revalued,
    shortfalls,
    stop_fault,
    watch,
    watched_draw,
)
from tests.support.refusals import refused

PLENTY_FEN = 1_000_000_00
LEASE = "leases/01970000-0000-7000-8000-000000000001"


def valuer_of(lending: Lending) -> Valuer:
    assert lending.valuer is not None
    return lending.valuer


@pytest.fixture(autouse=True)
def _usual_values(lending: Lending) -> None:
    """Let each test begin at the values of WE-7 and WE-8."""
    valuer = valuer_of(lending)
    valuer.olv_q10_fen, valuer.flv_q10_fen = OLV_Q10_FEN, FLV_Q10_FEN
    valuer.state = valuation_pb2.VALUATION_STATE_ISSUED
    valuer.refuses = False


async def state_of(lending: Lending, draw: str) -> str:
    seen = await lending.see(lending.world.operator, draw)
    return finance_pb2.CollateralState.Name(seen.collateral_state)


async def in_shortfall(lending: Lending, draw: finance_pb2.Draw) -> None:
    """Let a STOP fault bring a draw of WE-7 into shortfall."""
    valuer_of(lending).olv_q10_fen = 500_000_00
    valuer_of(lending).flv_q10_fen = 400_000_00
    await stop_fault(lending, draw.machine)
    await eventually(lambda: state_of(lending, draw.name), "COLLATERAL_STATE_SHORTFALL")


async def test_a_new_draw_is_covered_month_by_month_to_its_maturity(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    draw = await watched_draw(lending, funder, dealer)

    cover = await cover_of(dealer, draw.name)

    assert [point.month for point in cover.points] == list(range(37))
    assert cover.as_of_date == day(lending)
    assert cover.loan_to_value.value == cover.points[0].loan_to_value.value == "0.8500"
    assert (cover.worst_month, cover.worst_ratio.value) == (0, "0.963333")
    assert not cover.HasField("breach_month")
    assert fen(cover.points[36].balance) == 0
    [first] = await revaluations(lending, draw.machine)
    assert first.valuation == draw.valuation
    assert [reason.cause for reason in first.reasons] == [watch_pb2.REVALUATION_CAUSE_DRAWN]


async def test_a_stop_fault_brings_a_shortfall_with_cause_and_month_that_a_paydown_cures(
    lending: Lending,
) -> None:
    funder, dealer = await lending.funder(fen=3 * PLENTY_FEN), await lending.dealer()
    facility = await lending.facility(funder, dealer, limit_fen=PLENTY_FEN)
    draw = await lending.draw(dealer, await lending.accepted(dealer, facility))
    other = await lending.accepted(dealer, facility)
    await revalued(lending, draw.machine, 1)

    await in_shortfall(lending, draw)

    short = await lending.see(dealer, draw.name)
    cap_fen = 500_000_00 * 85 // 100 * 90 // 100
    told = (await lending.events(draw.name))[-1]
    assert isinstance(told, finance_events_pb2.CollateralShortfall)
    assert (told.cause, told.month) == ("STOP fault: SPN 110 FMI 0", 0)
    assert fen(told.paydown) == WE_7_FEN - cap_fen
    due = CHINA.add_business_days(lending.world.today(), 10)
    assert told.cure_by_date == short.cure_by_date == wire.date(due)
    assert (short.shortfall_cause, short.breach_month) == (told.cause, 0)
    [row] = await shortfalls(funder, draw.name)
    assert row.state == watch_pb2.SHORTFALL_STATE_OPEN
    listed = await watch(funder).ListWatchlist(watch_pb2.ListWatchlistRequest())
    assert [entry.draw for entry in listed.entries] == [draw.name]
    with refused("COLLATERAL_SHORTFALL"):
        await lending.draw(dealer, other)

    await finance(dealer).RepayDraw(
        finance_pb2.RepayDrawRequest(request_id=rid(), name=draw.name, amount=told.paydown)
    )

    cured = await lending.see(dealer, draw.name)
    assert cured.collateral_state == finance_pb2.COLLATERAL_STATE_CURED
    assert not cured.HasField("cure_by_date")
    kinds = [type(event).__name__ for event in await lending.events(draw.name)]
    assert kinds[-2:] == ["DrawPaid", "CollateralCured"]
    [row] = await shortfalls(dealer, draw.name)
    assert row.state == watch_pb2.SHORTFALL_STATE_CURED
    await lending.draw(dealer, other)


async def test_a_value_that_recovers_cures_too(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    draw = await watched_draw(lending, funder, dealer)
    await in_shortfall(lending, draw)
    valuer_of(lending).olv_q10_fen = OLV_Q10_FEN
    valuer_of(lending).flv_q10_fen = FLV_Q10_FEN

    installed = remanufacturing_events_pb2.ComponentInstalled(
        machine=draw.machine,
        component="ENGINE",
        serial_number="E-7",
        reman_class=reman_pb2.RemanClass.values()[1],
    )
    await hear(lending, watch_consumers.note_component, installed)

    await eventually(lambda: state_of(lending, draw.name), "COLLATERAL_STATE_CURED")
    last = (await revaluations(lending, draw.machine))[-1]
    assert last.reasons[0].description.startswith("component installed: ENGINE E-7")
    seen = await lending.see(funder, draw.name)
    assert not seen.HasField("breach_month")


async def test_a_shortfall_is_enforced_after_ten_business_days(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    draw = await watched_draw(lending, funder, dealer)
    await in_shortfall(lending, draw)
    due = CHINA.add_business_days(lending.world.today(), 10)

    await lending.world.advance_to(due)
    await lending.world.until_at_rest()
    assert await state_of(lending, draw.name) == "COLLATERAL_STATE_SHORTFALL"
    await lending.world.advance_to(due + timedelta(days=1))

    await eventually(lambda: state_of(lending, draw.name), "COLLATERAL_STATE_ENFORCEMENT")
    told = (await lending.events(draw.name))[-1]
    assert isinstance(told, finance_events_pb2.CollateralEnforced)
    assert told.cause == "STOP fault: SPN 110 FMI 0; not cured within 10 business days"
    [row] = await shortfalls(funder, draw.name)
    assert row.state == watch_pb2.SHORTFALL_STATE_ENFORCED
    # The funder need not wait for 90 days now.
    defaulted = await finance(funder).DeclareDefault(
        finance_pb2.DeclareDefaultRequest(request_id=rid(), name=draw.name)
    )
    assert defaulted.state == finance_pb2.DRAW_STATE_DEFAULTED


async def test_causes_that_come_together_make_one_more_valuation_at_most(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    draw = await watched_draw(lending, funder, dealer)

    await asyncio.gather(*(stop_fault(lending, draw.machine, spn=spn) for spn in range(12)))

    async def told() -> int:
        made = await revaluations(lending, draw.machine)
        done = all(one.state == watch_pb2.REVALUATION_STATE_DONE for one in made)
        return sum(len(one.reasons) for one in made) if done else 0

    await eventually(told, 1 + 12)
    made = await revaluations(lending, draw.machine)
    assert 2 <= len(made) < 1 + 12
    # One after the other: each took the place of the one before it.
    by_former = {one.former_valuation: one.valuation for one in made[1:]}
    newest = draw.valuation
    for _ in made[1:]:
        newest = by_former.pop(newest)
    assert newest == (await lending.see(funder, draw.name)).valuation


async def test_a_machine_is_valued_again_after_a_month_and_after_250_hours(
    lending: Lending,
) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    draw = await watched_draw(lending, funder, dealer)

    await read_hours(lending, draw.machine, "4000")  # the value says nothing of hours
    await revalued(lending, draw.machine, 2)
    await lending.world.advance_to(lending.world.today() + timedelta(days=33))
    await revalued(lending, draw.machine, 3)

    causes = [one.reasons[0] for one in await revaluations(lending, draw.machine)]
    assert causes[1].description == "hours: 4,000.0 h, no hours were known"
    assert causes[2].cause == watch_pb2.REVALUATION_CAUSE_MONTHLY


async def test_another_band_of_compliance_and_a_drift_alarm_are_causes(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    draw = await watched_draw(lending, funder, dealer)

    changed = maintenance_events_pb2.ComplianceChanged(machine=draw.machine)
    await hear(lending, watch_consumers.note_compliance, changed)
    assert len(await revaluations(lending, draw.machine)) == 1
    changed.compliance.value = "64.5"
    await hear(lending, watch_consumers.note_compliance, changed)
    await revalued(lending, draw.machine, 2)
    try:
        alarm = valuation_events_pb2.DriftAlarm(
            segment="W", level=1, equipment_classes=["OF_THE_TEST"]
        )
        valuer_of(lending).equipment_class = "OF_THE_TEST"
        await stop_fault(lending, draw.machine)
        await revalued(lending, draw.machine, 3)
        await hear(lending, watch_consumers.note_drift, alarm)
        await revalued(lending, draw.machine, 4)
    finally:
        valuer_of(lending).equipment_class = ""
        alarm.level = 0
        await hear(lending, watch_consumers.note_drift, alarm)

    causes = [one.reasons[0].description for one in await revaluations(lending, draw.machine)]
    assert causes[1] == "maintenance compliance: unknown → 64.5 %"
    assert causes[3] == "index: drift alarm 1 of W"


async def test_a_valuation_that_a_funder_made_counts_and_an_older_one_does_not(
    lending: Lending,
) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    draw = await watched_draw(lending, funder, dealer)
    valuer_of(lending).olv_q10_fen = 620_000_00
    made = await valuer_of(lending).CreateValuation(
        valuation_pb2.CreateValuationRequest(
            request_id=rid(), party=funder.party, machine=draw.machine
        ),
        None,
    )
    issued = valuation_events_pb2.ValuationIssued(
        machine=draw.machine, valuation=made.name, party=funder.party
    )
    await hear(lending, watch_consumers.note_value, issued)
    await revalued(lending, draw.machine, 2)
    seen = await lending.see(funder, draw.name)
    assert (seen.valuation, fen(seen.collateral_value)) == (made.name, 620_000_00 * 85 // 100)

    for valuation, party in ((draw.valuation, funder.party), (made.name, dealer.party)):
        issued.valuation, issued.party = valuation, party
        await hear(lending, watch_consumers.note_value, issued)
    assert len(await revaluations(lending, draw.machine)) == 2


async def test_a_lease_in_default_enforces_and_its_cure_lifts(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    draw = await watched_draw(lending, funder, dealer)

    defaulted = leasing_events_pb2.LeaseDefaulted(machine=draw.machine, lease=LEASE)
    await hear(lending, watch_consumers.enforce_defaulted, defaulted)
    assert await state_of(lending, draw.name) == "COLLATERAL_STATE_ENFORCEMENT"
    repossessed = leasing_events_pb2.MachineRepossessed(machine=draw.machine, lease=LEASE)
    await hear(lending, watch_consumers.enforce_repossessed, repossessed)
    told = await lending.events(draw.name)
    assert [type(event).__name__ for event in told] == ["CollateralEnforced"]
    assert told[0].cause == f"{LEASE} is in default"

    cured = leasing_events_pb2.DefaultCured(machine=draw.machine, lease=LEASE)
    await hear(lending, watch_consumers.lift_enforcement, cured)
    assert await state_of(lending, draw.name) == "COLLATERAL_STATE_CURED"


async def test_a_value_that_waits_for_a_validator_counts_once_it_is_issued(
    lending: Lending,
) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    draw = await watched_draw(lending, funder, dealer)
    valuer_of(lending).state = valuation_pb2.VALUATION_STATE_IN_REVIEW

    asked = await watch(funder).RequestRevaluation(
        watch_pb2.RequestRevaluationRequest(request_id=rid(), draw=draw.name)
    )
    assert asked.state == watch_pb2.REVALUATION_STATE_RUNNING

    async def last() -> str:
        return (await revaluations(lending, draw.machine))[-1].failure.partition(":")[0]

    await eventually(last, "VALUATION_NOT_ISSUED")
    assert (await lending.see(funder, draw.name)).valuation == draw.valuation
    # It is not asked for anew each day: the validators have one already.
    await lending.world.advance_to(lending.world.today() + timedelta(days=2))
    await lending.world.until_at_rest()
    assert len(await revaluations(lending, draw.machine)) == 2
    waiting = list(valuer_of(lending).made.values())[-1]
    waiting.state = valuation_pb2.VALUATION_STATE_ISSUED
    issued = valuation_events_pb2.ValuationIssued(
        machine=draw.machine, valuation=waiting.name, party=funder.party
    )
    await hear(lending, watch_consumers.note_value, issued)

    async def held() -> str:
        return (await lending.see(funder, draw.name)).valuation

    await eventually(held, waiting.name)


async def test_a_machine_that_cannot_be_valued_is_tried_again_a_day_later(
    lending: Lending,
) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    draw = await watched_draw(lending, funder, dealer)
    valuer_of(lending).refuses = True
    await stop_fault(lending, draw.machine)

    async def last() -> str:
        return (await revaluations(lending, draw.machine))[-1].failure.partition(":")[0]

    await eventually(last, "REPLACEMENT_COST_NEEDED")
    valuer_of(lending).refuses = False
    await lending.world.advance_to(lending.world.today() + timedelta(days=2))

    async def is_held() -> bool:
        return (await lending.see(funder, draw.name)).valuation != draw.valuation

    await eventually(is_held, True)
    tried = (await revaluations(lending, draw.machine))[-1]
    assert tried.reasons[0].description == "STOP fault: SPN 110 FMI 0"


async def test_other_parties_see_nothing_of_the_watch(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=PLENTY_FEN), await lending.dealer()
    draw = await watched_draw(lending, funder, dealer)
    await in_shortfall(lending, draw)
    stranger = await lending.funder()

    with refused("NOT_FOUND"):
        await cover_of(stranger, draw.name)
    with refused("NOT_FOUND"):
        await watch(stranger).RequestRevaluation(
            watch_pb2.RequestRevaluationRequest(request_id=rid(), draw=draw.name)
        )
    with refused("NOT_FOUND"):
        await watch(stranger).ExportBorrowingBase(
            watch_pb2.ExportBorrowingBaseRequest(facility=draw.facility)
        )
    with refused("PERMISSION_DENIED"):
        await watch(dealer).ListRevaluations(watch_pb2.ListRevaluationsRequest())
    assert await shortfalls(stranger, draw.name) == []
    seen = await watch(stranger).ListWatchlist(watch_pb2.ListWatchlistRequest())
    assert list(seen.entries) == []


async def test_the_watchlist_has_the_highest_ltv_first_and_pages(lending: Lending) -> None:
    funder, dealer = await lending.funder(fen=3 * PLENTY_FEN), await lending.dealer()
    draws = []
    for olv_fen in (600_000_00, 450_000_00, 520_000_00):
        valuer_of(lending).olv_q10_fen = OLV_Q10_FEN
        draw = await watched_draw(lending, funder, dealer)
        valuer_of(lending).olv_q10_fen = olv_fen
        await stop_fault(lending, draw.machine)
        await revalued(lending, draw.machine, 2)
        draws.append(draw.name)

    listed: list[watch_pb2.WatchEntry] = []
    request = watch_pb2.ListWatchlistRequest(page_size=1)
    while True:
        page = await watch(funder).ListWatchlist(request)
        listed += page.entries
        request.page_token = page.next_page_token
        if not request.page_token:
            break
    assert [entry.draw for entry in listed] == [draws[1], draws[2], draws[0]]
    ratios = [Decimal(entry.loan_to_value.value) for entry in listed]
    assert ratios == sorted(ratios, reverse=True)
    short = await watch(funder).ListWatchlist(
        watch_pb2.ListWatchlistRequest(state=finance_pb2.COLLATERAL_STATE_SHORTFALL)
    )
    assert len(short.entries) == 3
