"""The registry of machines on a real database."""

from datetime import timedelta

import pytest
from google.type import date_pb2, decimal_pb2
from ironloop.marketplace.v1 import inspections_pb2, machines_pb2

from infra.local.client import Actor
from services.kit import wire
from tests.integration.marketplace.machine_calls import (
    hand_over,
    lease_out,
    reserve_machine,
    scrap,
    transfer,
    update,
)
from tests.integration.marketplace.market import (
    YUAN,
    facts,
    inspect,
    machines,
    published,
    register_lien,
    registered,
    rid,
    submitted,
)
from tests.support.refusals import refused
from tests.support.world import World

PIN = "CAT0320DVBWZ01234"


async def test_a_registered_machine_belongs_to_who_registered_it(seller: Actor) -> None:
    made = await registered(seller)
    assert made.title_holder == made.custodian == seller.party
    assert made.lifecycle == machines_pb2.MACHINE_LIFECYCLE_REGISTERED
    assert made.custody == machines_pb2.CUSTODY_AVAILABLE
    assert made.event_sequence == 1
    again = await machines(seller).GetMachine(machines_pb2.GetMachineRequest(name=made.name))
    assert again == made


async def test_a_retried_registration_answers_the_same_machine(seller: Actor) -> None:
    request = machines_pb2.CreateMachineRequest(request_id=rid(), facts=facts())
    assert await machines(seller).CreateMachine(request) == await machines(seller).CreateMachine(
        request
    )


async def test_a_number_is_registered_once(world: World, seller: Actor) -> None:
    await registered(seller, pin=PIN.lower(), serial_number="")
    other = await world.party("SELLER")
    with refused("MACHINE_EXISTS"):
        await registered(other, pin=PIN, serial_number="")
    first = await registered(seller, make="Komatsu", serial_number="K-77 a")
    with refused("MACHINE_EXISTS"):
        await registered(other, make="KOMATSU", serial_number="k-77 A")
    assert first.check_status == machines_pb2.CHECK_STATUS_UNCHECKED


async def test_a_legacy_serial_is_never_refused_for_its_form(seller: Actor) -> None:
    made = await registered(seller, pin="", serial_number="旧-0815/IOQ 7")
    assert made.id_scheme == machines_pb2.ID_SCHEME_OEM_LEGACY
    with refused("PIN_FORM"):
        await registered(
            seller, pin="SHORT1", id_scheme=machines_pb2.ID_SCHEME_ISO10261, serial_number=""
        )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hours_meter", decimal_pb2.Decimal(value="200000.01")),
        ("hours_meter", decimal_pb2.Decimal(value="-1")),
        ("hours_meter", decimal_pb2.Decimal(value="many")),
        ("replacement_cost", wire.money(0)),
        ("replacement_cost", wire.money(100, currency="USD")),
        ("build_year", 2199),
        ("build_year", 1850),
        ("equipment_class", 0),
        ("equipment_class", 99),
        ("make", ""),
        ("make", "X\x00Y"),
    ],
)
async def test_a_fact_outside_its_limits_names_its_field(
    seller: Actor, field: str, value: object
) -> None:
    with refused("INVALID_FIELD") as refusal:
        await registered(seller, **{field: value})
    assert f"facts.{field}" in refusal.status.message


async def test_a_machine_is_hidden_from_other_parties_until_it_is_on_offer(
    world: World, seller: Actor, technician: Actor, buyer: Actor
) -> None:
    machine = await registered(seller)
    funder = await world.party("FUNDER")
    asked = machines_pb2.GetMachineRequest(name=machine.name)
    with refused("NOT_FOUND"):
        await machines(buyer).GetMachine(asked)
    lien = await register_lien(world, machine.name, funder)
    assert [seen.name for seen in (await machines(funder).GetMachine(asked)).liens] == [lien.name]
    await machines(world.service("finance")).ReleaseLien(
        machines_pb2.ReleaseLienRequest(request_id=rid(), name=lien.name)
    )
    with refused("NOT_FOUND"):
        await machines(funder).GetMachine(asked)

    await published(seller, technician, machine)
    seen = await machines(buyer).GetMachine(asked)
    assert (seen.make, seen.title_holder) == ("XCMG", seller.party)
    assert (seen.custodian, list(seen.liens)) == ("", [])


async def test_a_reservation_shows_the_machine_to_its_party_only(
    world: World, seller: Actor, buyer: Actor
) -> None:
    machine = await registered(seller)
    other = await world.party("BUYER")
    held = await reserve_machine(world, machine.name, party=buyer.party)
    assert held.reservation.party == buyer.party
    asked = machines_pb2.GetMachineRequest(name=machine.name)
    assert (await machines(buyer).GetMachine(asked)).custodian == seller.party
    with refused("NOT_FOUND"):
        await machines(other).GetMachine(asked)


async def test_hours_never_fall_and_an_etag_is_checked(seller: Actor, buyer: Actor) -> None:
    machine = await registered(seller)
    with refused("HOURS_BELOW_LAST"):
        await update(seller, machine, "hours_meter", hours="3250.49")
    changed = await update(seller, machine, "hours_meter", hours="3300", etag=machine.etag)
    assert changed.hours_meter.value == "3300.00"
    assert changed.event_sequence == 2
    with refused("ETAG_MISMATCH"):
        await update(seller, machine, "hours_meter", hours="3400", etag=machine.etag)
    with refused("INVALID_FIELD"):
        await update(seller, machine, "pin", hours="3400")
    with refused("INVALID_FIELD"):
        await update(seller, machine, "equipment_class", hours="3400")
    with refused("NOT_FOUND"):
        await update(buyer, machine, "hours_meter", hours="3400")


async def test_a_custodian_reports_hours_and_nothing_else(world: World, seller: Actor) -> None:
    machine = await registered(seller)
    lessee = await world.party("LESSEE")
    await lease_out(world, machine.name, lessee.party, reference="leases/1")
    changed = await update(lessee, machine, "hours_meter", hours="4000")
    assert changed.hours_meter.value == "4000.00"
    with refused("NOT_TITLE_HOLDER"):
        await update(lessee, machine, "model", hours="4000")


async def test_a_scrapped_machine_takes_no_part_in_trade(
    world: World, seller: Actor, buyer: Actor
) -> None:
    machine = await registered(seller)
    other = await world.party("SELLER")
    with refused("NOT_FOUND"):
        await scrap(other, machine.name)
    reserved = await reserve_machine(world, machine.name, party=buyer.party)
    with refused("CUSTODY_HELD"):
        await scrap(seller, machine.name)
    await machines(world.service("leasing")).ReleaseMachine(
        machines_pb2.ReleaseMachineRequest(
            request_id=rid(), name=machine.name, reference=reserved.reservation.reference
        )
    )
    scrapped = await scrap(seller, machine.name)
    assert scrapped.lifecycle == machines_pb2.MACHINE_LIFECYCLE_SCRAPPED
    with refused("TRANSITION_REFUSED"):
        await scrap(seller, machine.name)
    with refused("MACHINE_SCRAPPED"):
        await reserve_machine(world, machine.name, party=buyer.party)
    with refused("MACHINE_SCRAPPED"):
        await transfer(world, machine.name, seller.party, buyer.party)
    with refused("MACHINE_SCRAPPED"):
        await hand_over(world, machine.name, machines_pb2.CUSTODY_AVAILABLE, buyer.party, "a/1")
    with refused("MACHINE_SCRAPPED"):
        await register_lien(world, machine.name, buyer)
    with refused("MACHINE_SCRAPPED"):
        await update(seller, machine, "hours_meter", hours="9000")


async def test_a_remanufacture_begins_and_ends_in_service(world: World, seller: Actor) -> None:
    machine = await registered(seller)
    service = machines(world.service("remanufacturing"))
    with refused("TRANSITION_REFUSED"):
        await service.StartRemanufacture(
            machines_pb2.StartRemanufactureRequest(request_id=rid(), name=machine.name)
        )
    await hand_over(world, machine.name, machines_pb2.CUSTODY_AVAILABLE, "parties/" + rid(), "a/1")
    began = await service.StartRemanufacture(
        machines_pb2.StartRemanufactureRequest(request_id=rid(), name=machine.name)
    )
    assert began.lifecycle == machines_pb2.MACHINE_LIFECYCLE_IN_REMAN
    ended = await service.FinishRemanufacture(
        machines_pb2.FinishRemanufactureRequest(request_id=rid(), name=machine.name)
    )
    assert ended.lifecycle == machines_pb2.MACHINE_LIFECYCLE_IN_SERVICE


async def test_liens_rank_by_purchase_money_then_register_time_then_creation(
    world: World, seller: Actor
) -> None:
    machine = await registered(seller)
    holders = [await world.party("FUNDER") for _ in range(4)]
    now = world.running["marketplace"].runtime.clock.now()
    times = [now - timedelta(days=1), now - timedelta(days=2), now - timedelta(days=2), now]
    liens = [
        await register_lien(
            world,
            machine.name,
            holder,
            register_time=wire.instant(at),
            purchase_money=holder is holders[3],
        )
        for holder, at in zip(holders, times, strict=True)
    ]
    whole = await machines(seller).GetMachine(machines_pb2.GetMachineRequest(name=machine.name))
    assert [lien.name for lien in whole.liens] == [liens[place].name for place in (3, 1, 2, 0)]
    assert [lien.priority for lien in whole.liens] == [1, 2, 3, 4]
    own = await machines(holders[1]).ListLiens(machines_pb2.ListLiensRequest(machine=machine.name))
    assert [(lien.name, lien.priority) for lien in own.liens] == [(liens[1].name, 2)]
    page = await machines(seller).ListLiens(
        machines_pb2.ListLiensRequest(machine=machine.name, page_size=3)
    )
    rest = await machines(seller).ListLiens(
        machines_pb2.ListLiensRequest(
            machine=machine.name, page_size=3, page_token=page.next_page_token
        )
    )
    assert [lien.name for lien in (*page.liens, *rest.liens)] == [lien.name for lien in liens]
    with refused("NOT_FOUND"):
        await machines(holders[0]).GetLien(machines_pb2.GetLienRequest(name=liens[1].name))


async def test_a_lien_is_registered_once_a_reference(world: World, seller: Actor) -> None:
    machine = await registered(seller)
    funder = await world.party("FUNDER")
    first = await register_lien(world, machine.name, funder, reference="draws/1")
    again = await register_lien(world, machine.name, funder, reference="draws/1")
    assert again == first
    with refused("LIEN_EXISTS"):
        await register_lien(
            world,
            machine.name,
            funder,
            reference="draws/1",
            secured_amount=wire.money(1 * YUAN),
        )
    for _ in range(2):
        await machines(world.service("finance")).ReleaseLien(
            machines_pb2.ReleaseLienRequest(request_id=rid(), name=first.name)
        )
    with refused("LIEN_EXISTS"):
        await register_lien(world, machine.name, funder, reference="draws/1")
    ahead = world.running["marketplace"].runtime.clock.now() + timedelta(hours=1)
    with refused("INVALID_FIELD"):
        await register_lien(world, machine.name, funder, register_time=wire.instant(ahead))


async def test_machines_are_listed_by_title_and_by_custody(world: World) -> None:
    owner, lessee = await world.party("LESSOR"), await world.party("LESSEE")
    made = [await registered(owner) for _ in range(5)]
    await lease_out(world, made[2].name, lessee.party, reference="leases/5")
    seen = []
    token = ""
    while True:
        page = await machines(owner).ListMachines(
            machines_pb2.ListMachinesRequest(page_size=2, page_token=token)
        )
        seen += [machine.name for machine in page.machines]
        token = page.next_page_token
        if not token:
            break
    assert sorted(seen) == sorted(machine.name for machine in made)
    request = machines_pb2.ListMachinesRequest(
        relation=machines_pb2.MACHINE_RELATION_CUSTODY, party=owner.party
    )
    leased = await machines(lessee).ListMachines(request)  # another party's filter is not read
    assert [machine.name for machine in leased.machines] == [made[2].name]
    audited = await machines(world.operator).ListMachines(request)
    assert len(audited.machines) == 4


async def test_a_machine_shows_the_condition_that_its_latest_inspection_found(world: World) -> None:
    seller, technician = await world.party("SELLER"), await world.party("TECHNICIAN")
    machine = await registered(seller)
    assert not machine.HasField("condition")
    listing = await submitted(seller, machine)
    today = world.today()
    earlier = await inspect(
        technician,
        listing,
        inspect_date=today - timedelta(days=20),
        grade=inspections_pb2.CONDITION_GRADE_FAIR,
    )
    asked = machines_pb2.GetMachineRequest(name=machine.name)
    seen = (await machines(seller).GetMachine(asked)).condition
    assert (seen.inspection, seen.grade) == (earlier.name, inspections_pb2.CONDITION_GRADE_FAIR)
    assert seen.inspect_date == wire.date(today - timedelta(days=20))
    asked.condition_as_of.CopyFrom(wire.date(today - timedelta(days=21)))
    assert not (await machines(seller).GetMachine(asked)).HasField("condition")
    asked.condition_as_of.CopyFrom(date_pb2.Date(year=2026, month=2, day=30))
    with refused("INVALID_FIELD"):
        await machines(seller).GetMachine(asked)
