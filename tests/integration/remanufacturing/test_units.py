"""Units in stock: who gets the last one, installation in a machine's record, and sale."""

import asyncio

import grpc
from ironloop.marketplace.v1 import components_pb2
from ironloop.remanufacturing.v1 import reman_pb2
from ironloop.remanufacturing.v1 import remanufacturing_events_pb2 as events

from services.kit import wire
from services.kit.ids import name, new_id
from tests.integration.remanufacturing.shop import PRICE, Shop, number, reman, rid
from tests.support.money import is_balanced
from tests.support.refusals import refused

STATE = reman_pb2


def work_order() -> str:
    return name("workOrders", new_id())


async def test_a_reference_holds_one_unit_and_lets_it_go(shop: Shop) -> None:
    family, job = await shop.family(), work_order()
    with refused("NO_UNIT_IN_STOCK"):
        await shop.reserved(family, job)
    unit = await shop.stocked(family)
    held = await shop.reserved(family, job)
    assert (held.name, held.state, held.reference) == (unit.name, STATE.UNIT_STATE_RESERVED, job)
    assert await shop.reserved(family, job) == held
    with refused("NO_UNIT_IN_STOCK"):
        await shop.reserved(family, work_order())
    release = reman_pb2.ReleaseUnitRequest(request_id=rid(), name=unit.name, reference=work_order())
    other = await reman(shop.maintenance).ReleaseUnit(release)
    assert other.state == STATE.UNIT_STATE_RESERVED
    release = reman_pb2.ReleaseUnitRequest(request_id=rid(), name=unit.name, reference=job)
    assert (await reman(shop.maintenance).ReleaseUnit(release)).state == STATE.UNIT_STATE_STOCKED
    assert (await shop.reserved(family, work_order())).name == unit.name


async def test_what_is_longest_in_stock_goes_first(shop: Shop) -> None:
    family = await shop.family()
    first, second = await shop.stocked(family), await shop.stocked(family)
    assert (await shop.reserved(family, work_order())).name == first.name
    assert (await shop.reserved(family, work_order())).name == second.name


async def test_the_race_for_the_last_units_has_as_many_winners_as_units(shop: Shop) -> None:
    family = await shop.family()
    units = {(await shop.stocked(family)).name for _ in range(3)}

    async def race() -> str:
        try:
            return (await shop.reserved(family, work_order())).name
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
            return ""

    won = [each for each in await asyncio.gather(*(race() for _ in range(12))) if each]
    assert sorted(won) == sorted(units)


async def test_an_installed_unit_is_in_the_machines_record_and_told(shop: Shop) -> None:
    family, job = await shop.family(), work_order()
    owner = await shop.customer()
    machine = await shop.machine(owner)
    await shop.stocked(family)
    unit = await shop.reserved(family, job)
    request = shop.installation(unit.name, machine.name, job)
    installed = await reman(shop.maintenance).InstallUnit(request)
    assert installed.state == STATE.UNIT_STATE_INSTALLED
    assert (installed.machine, installed.hours_at_install.value) == (machine.name, "4120.50")
    (component,) = (await shop.look_up(machine.name)).components
    assert component == components_pb2.Component(
        kind="ENGINE",
        serial_number=unit.serial_number,
        manufacture_class=components_pb2.MANUFACTURE_CLASS_REMANUFACTURED,
        install_date=installed.install_date,
        hours_at_install=number("4120.50"),
        label_no=unit.label_no,
        unit=unit.name,
    )
    (told,) = await shop.events(machine.name)
    assert isinstance(told, events.ComponentInstalled)
    assert (told.sequence, told.unit, told.label_no) == (1, unit.name, unit.label_no)
    assert told.warranty_end == installed.warranty_end
    # The same again, by another call, changes nothing and tells nothing.
    request.request_id = rid()
    assert await reman(shop.maintenance).InstallUnit(request) == installed
    assert len(await shop.events(machine.name)) == 1
    told_of_unit = await shop.events(unit.reman_order)
    assert isinstance(told_of_unit[-1], events.UnitInstalled)
    assert [event.sequence for event in told_of_unit] == list(range(1, len(told_of_unit) + 1))


async def test_a_second_component_of_a_machine_is_told_next(shop: Shop) -> None:
    family = await shop.family()
    machine = await shop.machine(await shop.customer())
    for _ in range(2):
        job = work_order()
        await shop.stocked(family)
        unit = await shop.reserved(family, job)
        await reman(shop.maintenance).InstallUnit(shop.installation(unit.name, machine.name, job))
    assert [event.sequence for event in await shop.events(machine.name)] == [1, 2]


async def test_only_what_is_held_for_the_work_is_installed(shop: Shop) -> None:
    family, job = await shop.family(), work_order()
    machine = await shop.machine(await shop.customer())
    unit = await shop.stocked(family)
    with refused("TRANSITION_REFUSED"):
        await reman(shop.maintenance).InstallUnit(shop.installation(unit.name, machine.name, job))
    await shop.reserved(family, job)
    with refused("HELD_BY_OTHER"):
        await reman(shop.maintenance).InstallUnit(
            shop.installation(unit.name, machine.name, work_order())
        )
    installed = await reman(shop.maintenance).InstallUnit(
        shop.installation(unit.name, machine.name, work_order(), reference=job)
    )
    assert installed.state == STATE.UNIT_STATE_INSTALLED


async def test_what_marketplace_refuses_leaves_the_unit_reserved(shop: Shop) -> None:
    family, job = await shop.family(), work_order()
    await shop.stocked(family)
    unit = await shop.reserved(family, job)
    with refused("NOT_FOUND"):
        await reman(shop.maintenance).InstallUnit(
            shop.installation(unit.name, name("machines", new_id()), job)
        )
    held = await reman(shop.foreman).GetUnit(reman_pb2.GetUnitRequest(name=unit.name))
    assert held.state == STATE.UNIT_STATE_RESERVED


async def test_a_unit_is_bought_for_its_price(shop: Shop) -> None:
    buyer = await shop.customer(fen=PRICE + 1)
    unit = await shop.stocked(await shop.family())
    earned = await shop.wallet(shop.foreman)
    request = reman_pb2.BuyUnitRequest(
        request_id=rid(), name=unit.name, expected_price=wire.money(PRICE - 1)
    )
    with refused("PRICE_CHANGED"):
        await reman(buyer).BuyUnit(request)
    request = reman_pb2.BuyUnitRequest(
        request_id=rid(), name=unit.name, expected_price=wire.money(PRICE)
    )
    sold = await reman(buyer).BuyUnit(request)
    assert await reman(buyer).BuyUnit(request) == sold
    assert (sold.state, sold.buyer) == (STATE.UNIT_STATE_SOLD, buyer.party)
    assert await shop.wallet(buyer) == 1
    assert await shop.wallet(shop.foreman) - earned == PRICE
    assert await is_balanced(shop.world)
    assert (await reman(buyer).GetUnit(reman_pb2.GetUnitRequest(name=unit.name))) == sold
    with refused("NOT_FOUND"):
        await reman(await shop.customer()).GetUnit(reman_pb2.GetUnitRequest(name=unit.name))


async def test_a_unit_that_is_not_paid_is_in_stock_again(shop: Shop) -> None:
    buyer = await shop.customer(fen=PRICE - 1)
    unit = await shop.stocked(await shop.family())
    with refused("INSUFFICIENT_FUNDS"):
        await reman(buyer).BuyUnit(
            reman_pb2.BuyUnitRequest(
                request_id=rid(), name=unit.name, expected_price=wire.money(PRICE)
            )
        )
    back = await reman(shop.foreman).GetUnit(reman_pb2.GetUnitRequest(name=unit.name))
    assert (back.state, back.reference) == (STATE.UNIT_STATE_STOCKED, "")


async def test_everybody_sees_the_stock_and_only_the_shop_the_rest(shop: Shop) -> None:
    family = await shop.family()
    held, free = await shop.stocked(family), await shop.stocked(family)
    await shop.reserved(family, work_order())
    request = reman_pb2.ListUnitsRequest(part_family=family.name)
    seen = await reman(await shop.customer()).ListUnits(request)
    assert [unit.name for unit in seen.units] == [free.name]
    own = await reman(shop.foreman).ListUnits(request)
    assert [unit.name for unit in own.units] == [free.name, held.name]
    reserved = await reman(shop.foreman).ListUnits(
        reman_pb2.ListUnitsRequest(part_family=family.name, state=STATE.UNIT_STATE_RESERVED)
    )
    assert [unit.name for unit in reserved.units] == [held.name]
