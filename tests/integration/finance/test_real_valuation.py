"""Lending on the real services' values: what maintenance hears moves cover, by event to the end."""

import csv
import hashlib
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal

import pytest_asyncio
from ironloop.finance.v1 import finance_pb2, watch_pb2
from ironloop.maintenance.v1 import (
    faults_pb2,
    faults_pb2_grpc,
    meters_pb2,
    meters_pb2_grpc,
    telemetry_pb2,
    telemetry_pb2_grpc,
)
from ironloop.valuation.v1 import valuation_pb2, valuation_pb2_grpc

from infra.local.client import Actor
from services.finance.definition import DEFINITION as FINANCE
from services.kit import wire
from services.maintenance.definition import DEFINITION as MAINTENANCE
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.settlement.definition import DEFINITION as SETTLEMENT
from services.valuation.definition import DEFINITION as VALUATION
from tests.integration.finance.lending import Lending, eventually, fen, finance, rid
from tests.integration.finance.watching import revaluations, revalued, shortfalls, watch
from tests.support.refusals import refused
from tests.support.world import World

CSV = watch_pb2.BORROWING_BASE_FORMAT_CSV
HAIRCUTS = {"A": Decimal("0.10"), "B": Decimal("0.15"), "C": Decimal("0.25")}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def appraised(kafka_world: World) -> AsyncIterator[Lending]:
    """Return a world whose machines are valued by the model, its services linked by Kafka."""
    await kafka_world.start(SETTLEMENT, MARKETPLACE, MAINTENANCE, VALUATION, FINANCE)
    yield Lending(kafka_world)


def valuation(actor: Actor) -> "valuation_pb2_grpc.ValuationServiceAsyncStub":
    return actor.stub(valuation_pb2_grpc.ValuationServiceStub)


async def test_an_offer_rests_on_the_models_value_which_the_funder_can_replay(
    appraised: Lending,
) -> None:
    funder, dealer = await appraised.funder(fen=2_000_000_00), await appraised.dealer()
    facility = await appraised.facility(funder, dealer, limit_fen=2_000_000_00)
    machine = await appraised.machine(dealer)

    offer = await appraised.request(
        dealer, facility, machine, requested_amount=wire.money(20_000_00), term_months=12
    )

    seen = await valuation(funder).GetValuation(
        valuation_pb2.GetValuationRequest(name=offer.valuation.valuation)
    )
    assert seen.state == valuation_pb2.VALUATION_STATE_ISSUED
    assert seen.record_sha256 == offer.valuation.record_sha256
    assert fen(seen.olv.q10) == fen(offer.valuation.olv_q10)
    assert offer.haircut.value == f"{HAIRCUTS[offer.valuation.grade]:.6f}"
    replayed = await valuation(funder).ReplayValuation(
        valuation_pb2.ReplayValuationRequest(name=seen.name)
    )
    assert replayed.outcome == valuation_pb2.REPLAY_OUTCOME_MATCH

    accepted = await finance(dealer).AcceptOffer(
        finance_pb2.AcceptOfferRequest(request_id=rid(), name=offer.name)
    )
    draw = await appraised.draw(dealer, accepted)
    collateral = Decimal(fen(seen.olv.q10)) * (1 - HAIRCUTS[offer.valuation.grade])
    assert fen(draw.collateral_value) == int(collateral.quantize(Decimal(1), ROUND_HALF_UP))


async def test_what_the_policy_allows_is_covered_if_it_is_repaid_and_not_if_it_is_left(
    appraised: Lending,
) -> None:
    funder, dealer = await appraised.funder(), await appraised.dealer()
    facility = await appraised.facility(funder, dealer, limit_fen=9_000_000_00)
    machine = await appraised.machine(dealer)

    offer = await appraised.request(dealer, facility, machine, term_months=48)
    assert offer.bound == finance_pb2.OFFER_BOUND_LOAN_TO_VALUE
    lendable = Decimal(fen(offer.valuation.olv_q10)) * (1 - HAIRCUTS[offer.valuation.grade])
    assert abs(fen(offer.amount) - lendable * Decimal("0.85")) <= 1
    assert Decimal(offer.cover.worst_ratio.value) <= 1

    # The same amount with all of it left to the end outlives the machine's value.
    with refused("THROUGH_LIFE_COVER") as refusal:
        balloon = wire.money(fen(offer.amount) - 1_00)
        await appraised.request(dealer, facility, machine, term_months=48, balloon=balloon)
    assert 1 <= int(refusal.metadata["month"]) <= 48
    assert Decimal(refusal.metadata["ratio"]) > 1
    assert int(refusal.metadata["balance_fen"]) > int(refusal.metadata["flv_q10_fen"])


async def test_a_lower_value_of_the_funders_puts_a_draw_in_shortfall_until_it_is_paid_down(
    appraised: Lending,
) -> None:
    funder, dealer = await appraised.funder(fen=2_000_000_00), await appraised.dealer()
    facility = await appraised.facility(funder, dealer, limit_fen=2_000_000_00)
    machine = await appraised.machine(dealer)
    offer = await appraised.accepted(
        dealer, facility, machine, requested_amount=wire.money(100_000_00), term_months=12
    )
    draw = await appraised.draw(dealer, offer)

    async def state() -> finance_pb2.CollateralState.ValueType:
        return (await appraised.see(funder, draw.name)).collateral_state

    # The funder sees the machine worn out: 14,900 hours instead of the registered 4,000.
    worn = valuation_pb2.Overrides(
        hours_meter=wire.decimal(Decimal(14_900)), replacement_cost=wire.money(160_000_00)
    )
    for party in (dealer, funder):
        await valuation(party).CreateValuation(
            valuation_pb2.CreateValuationRequest(request_id=rid(), machine=machine, overrides=worn)
        )
    await eventually(state, finance_pb2.COLLATERAL_STATE_SHORTFALL)
    short = await appraised.see(funder, draw.name)
    assert Decimal(short.loan_to_value.value) > Decimal("0.90")
    assert short.HasField("cure_by_date")
    listed = await finance(funder).ListDraws(
        finance_pb2.ListDrawsRequest(collateral_state=finance_pb2.COLLATERAL_STATE_SHORTFALL)
    )
    assert [found.name for found in listed.draws] == [draw.name]
    another = await appraised.accepted(
        dealer, facility, requested_amount=wire.money(20_000_00), term_months=12
    )
    with refused("COLLATERAL_SHORTFALL"):
        await appraised.draw(dealer, another)

    await finance(dealer).RepayDraw(
        finance_pb2.RepayDrawRequest(request_id=rid(), name=draw.name, amount=wire.money(90_000_00))
    )
    assert await state() == finance_pb2.COLLATERAL_STATE_CURED
    await appraised.draw(dealer, another)


async def report(appraised: Lending, owner: Actor, machine: str, hours: str) -> None:
    """Have a machine report hours and a location, both of now."""
    now = appraised.world.running["finance"].runtime.clock.now()
    reading = await owner.stub(meters_pb2_grpc.MeterServiceStub).ReportMeterReading(
        meters_pb2.ReportMeterReadingRequest(
            request_id=rid(),
            machine=machine,
            hours=wire.decimal(Decimal(hours)),
            reading_time=wire.instant(now - timedelta(minutes=1)),
        )
    )
    assert reading.state == meters_pb2.METER_READING_STATE_ACCEPTED
    row = telemetry_pb2.ReadingRow(
        machine=machine,
        element=telemetry_pb2.TELEMETRY_ELEMENT_LOCATION,
        read_at_us=int((now - timedelta(minutes=1)).timestamp()) * 1_000_000,
        value="28.20",
        longitude="112.97",
    )
    taken = await owner.stub(telemetry_pb2_grpc.TelemetryServiceStub).IngestTelemetry(
        iter([telemetry_pb2.IngestTelemetryRequest(readings=[row])])
    )
    assert taken.accepted == 1, taken


async def base_of(
    viewer: Actor, facility: str, form: watch_pb2.BorrowingBaseFormat.ValueType = CSV
) -> watch_pb2.BorrowingBase:
    return await watch(viewer).ExportBorrowingBase(
        watch_pb2.ExportBorrowingBaseRequest(facility=facility, format=form)
    )


async def test_a_stop_fault_reaches_cover_and_borrowing_base_and_its_mending_cures(
    appraised: Lending,
) -> None:
    funder, dealer = await appraised.funder(fen=2_000_000_00), await appraised.dealer()
    facility = await appraised.facility(funder, dealer, limit_fen=2_000_000_00)
    machine = await appraised.machine(dealer)
    await report(appraised, dealer, machine, "4000")
    # Finance has heard of the reading before the draw: afterwards it would be a cause.
    await appraised.world.until_at_rest()
    offer = await appraised.accepted(dealer, facility, machine, term_months=36)
    draw = await appraised.draw(dealer, offer)
    await revalued(appraised, machine, 1)
    before = await base_of(dealer, facility.name)
    [line] = before.lines
    assert (list(line.reasons), line.eligible) == ([], line.collateral_value)
    cover = await watch(funder).GetCover(watch_pb2.GetCoverRequest(draw=draw.name))
    assert len(cover.points) == 37

    async def break_down(spn: int) -> faults_pb2.Fault:
        operator = appraised.world.operator.stub(faults_pb2_grpc.FaultServiceStub)
        return await operator.SimulateFault(
            faults_pb2.SimulateFaultRequest(
                request_id=rid(),
                machine=machine,
                code=faults_pb2.FaultCode(spn=spn, fmi=0),
                severity=faults_pb2.FAULT_SEVERITY_STOP,
            )
        )

    async def state() -> finance_pb2.CollateralState.ValueType:
        return (await appraised.see(funder, draw.name)).collateral_state

    # Two faults take 0.94 each: an LTV of 0.85 becomes 0.96.
    faults = [await break_down(110), await break_down(100)]
    await eventually(state, finance_pb2.COLLATERAL_STATE_SHORTFALL)
    [short] = await shortfalls(funder, draw.name)
    assert short.cause.startswith("STOP fault: SPN 1")
    down = await base_of(funder, facility.name)
    [line] = down.lines
    assert list(line.reasons) == [watch_pb2.INELIGIBLE_REASON_DOWN_UNIT]
    assert line.why == "2 open STOP faults"
    assert fen(down.availability) == -fen(down.outstanding)
    assert hashlib.sha256(down.content).hexdigest() == down.sha256
    [row] = csv.DictReader(io.StringIO(down.content.decode()))
    assert (row["machine"], row["reasons"], row["eligible"]) == (machine, "DOWN_UNIT", "0.00")
    binary = await base_of(funder, facility.name, watch_pb2.BORROWING_BASE_FORMAT_PARQUET)
    assert binary.content.startswith(b"PAR1")

    for fault in faults:
        await dealer.stub(faults_pb2_grpc.FaultServiceStub).ClearFault(
            faults_pb2.ClearFaultRequest(request_id=rid(), name=fault.name)
        )
    await eventually(state, finance_pb2.COLLATERAL_STATE_CURED)
    [cured] = await shortfalls(funder, draw.name)
    assert cured.state == watch_pb2.SHORTFALL_STATE_CURED
    assert len(await revaluations(appraised, machine)) <= 5
    assert list((await base_of(funder, facility.name)).lines[0].reasons) == []
