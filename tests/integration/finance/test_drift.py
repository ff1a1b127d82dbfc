"""A drift alarm of valuation widens the haircut of new offers, then stops them, then ends."""

from decimal import Decimal

from ironloop.valuation.v1 import valuation_events_pb2

from services.finance import watch_consumers
from tests.integration.finance.lending import WE_7_FEN, Lending, fen
from tests.support.refusals import refused


async def alarm(lending: Lending, level: int, *, segment: str = "TEX") -> None:
    """Let finance hear of an alarm of valuation."""
    event = valuation_events_pb2.DriftAlarm(
        segment=segment, level=level, equipment_classes=["HYDRAULIC_EXCAVATOR"]
    )
    database = lending.world.running["finance"].runtime.database
    await database.run(lambda tx: watch_consumers.note_drift(tx, event))


async def test_an_alarm_widens_the_haircut_and_a_higher_one_stops_offers(lending: Lending) -> None:
    funder, dealer = await lending.funder(), await lending.dealer()
    facility = await lending.facility(funder, dealer)
    machine = await lending.machine(dealer)
    try:
        await alarm(lending, 1)
        widened = await lending.request(dealer, facility, machine)
        assert Decimal(widened.haircut.value) == Decimal("0.2")
        assert fen(widened.amount) == 640_000_00 * 80 // 100 * 85 // 100

        await alarm(lending, 1, segment="ALL")
        await alarm(lending, 2)
        with refused("DRIFT_STOPS_OFFERS"):
            await lending.request(dealer, facility, await lending.machine(dealer))
        await alarm(lending, 0)
        assert Decimal((await lending.request(dealer, facility, machine)).haircut.value) == (
            Decimal("0.2")
        )
    finally:
        await alarm(lending, 0)
        await alarm(lending, 0, segment="ALL")
    usual = await lending.request(dealer, facility, machine)
    assert fen(usual.amount) == WE_7_FEN
