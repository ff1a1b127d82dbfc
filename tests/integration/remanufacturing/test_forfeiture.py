"""The 180 days of a core: the last day is in time, the day after keeps the deposit."""

from ironloop.remanufacturing.v1 import cores_pb2
from ironloop.remanufacturing.v1 import remanufacturing_events_pb2 as events

from services.kit import wire
from tests.integration.remanufacturing.shop import DEPOSIT, Shop, cores, rid
from tests.support.money import is_balanced
from tests.support.refusals import refused

FORFEITED = cores_pb2.CORE_RETURN_STATE_FORFEITED


async def test_a_core_is_in_time_on_day_180_and_forfeited_on_day_181(shop: Shop) -> None:
    customer, family = await shop.customer(fen=3 * DEPOSIT), await shop.family()
    in_time = await shop.authorised(customer, family)
    authorised = await shop.authorised(customer, family)
    idle = await shop.charged(customer, family)
    day_0 = shop.world.today()
    assert wire.date(day_0) == idle.deposit_date
    await shop.world.advance_days(180)
    await shop.receive(in_time.name)
    assert (await shop.get(idle.name)).state == cores_pb2.CORE_RETURN_STATE_DEPOSIT_CHARGED
    income = await shop.income()
    await shop.world.advance_days(1)
    for late in (authorised, idle):
        ended = await shop.until(late.name, FORFEITED)
        assert ended.credit == wire.money(0)
        told = (await shop.events(late.name))[-1]
        assert isinstance(told, events.CoreForfeited)
        assert told.deposit == wire.money(DEPOSIT)
        with refused("TRANSITION_REFUSED"):
            await cores(shop.foreman).AuthoriseCoreReturn(
                cores_pb2.AuthoriseCoreReturnRequest(request_id=rid(), name=late.name)
            )
    assert await shop.income() - income == 2 * DEPOSIT
    assert await shop.deposits(customer) == DEPOSIT
    # The one that came in on the last day is worth what it is graded as, however late that is.
    await shop.graded(in_time.name, cores_pb2.CORE_GRADE_FULL)
    await shop.until(in_time.name, cores_pb2.CORE_RETURN_STATE_CREDITED)
    assert await shop.wallet(customer) == DEPOSIT
    assert await is_balanced(shop.world)
