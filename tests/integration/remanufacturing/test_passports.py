"""Passports: fed by marketplace over a real broker, by maintenance, and by the shop itself."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from ironloop.maintenance.v1 import faults_pb2, maintenance_events_pb2, work_orders_pb2
from ironloop.marketplace.v1 import machines_pb2, machines_pb2_grpc
from ironloop.remanufacturing.v1 import passports_pb2, reman_pb2

from infra.local.client import Actor
from services.kit import wire
from services.kit.ids import name, new_id
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.remanufacturing import consumers, passport_file
from services.remanufacturing.definition import DEFINITION as REMANUFACTURING
from services.remanufacturing.passport_model import START, document_of, next_entry
from services.settlement.definition import DEFINITION as SETTLEMENT
from tests.integration.remanufacturing.shop import (
    PRICE,
    Shop,
    number,
    open_shop,
    passports,
    reman,
    rid,
)
from tests.support.refusals import refused
from tests.support.world import World

OWNER, PUBLIC = passports_pb2.PASSPORT_VIEW_OWNER, passports_pb2.PASSPORT_VIEW_PUBLIC


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(kafka_world: World) -> AsyncIterator[Shop]:
    """Return a shop in a world whose services are linked by a broker."""
    await kafka_world.start(SETTLEMENT, MARKETPLACE, REMANUFACTURING)
    yield await open_shop(kafka_world)


async def passport(
    actor: Actor,
    subject: str,
    view: passports_pb2.PassportView.ValueType = passports_pb2.PASSPORT_VIEW_UNSPECIFIED,
) -> passports_pb2.Passport:
    return await passports(actor).GetPassport(
        passports_pb2.GetPassportRequest(subject=subject, view=view)
    )


def kinds(shown: passports_pb2.Passport) -> list[str]:
    return [entry["kind"] for entry in json.loads(shown.document)["entries"]]


async def installed(shop: Shop, owner: Actor) -> reman_pb2.Unit:
    machine = await shop.machine(owner)
    family, job = await shop.family(), name("workOrders", new_id())
    await shop.stocked(family)
    unit = await shop.reserved(family, job)
    return await reman(shop.maintenance).InstallUnit(
        shop.installation(unit.name, machine.name, job)
    )


async def test_a_machines_passport_tells_its_life(shop: Shop, tmp_path: Path) -> None:
    owner, buyer = await shop.customer(), await shop.customer()
    unit = await installed(shop, owner)
    await shop.world.until_at_rest()
    market = shop.world.service("procurement").stub(machines_pb2_grpc.MachineServiceStub)
    sale = name("orders", new_id())
    await market.TransferTitle(
        machines_pb2.TransferTitleRequest(
            request_id=rid(),
            name=unit.machine,
            from_party=owner.party,
            to_party=buyer.party,
            reference=sale,
        )
    )
    await shop.world.until_at_rest()
    await hear_of_upkeep(shop, unit.machine)

    shown = await passport(buyer, unit.machine)
    assert shown.view == OWNER
    assert sorted(kinds(shown)) == [
        "COMPONENT_INSTALLED",
        "REGISTERED" if "REGISTERED" in kinds(shown) else "IDENTIFIED",
        "STOP_FAULT_CLEARED",
        "STOP_FAULT_RAISED",
        "TITLE_TRANSFERRED",
        "WORK_COMPLETED",
    ]
    document = json.loads(shown.document)
    assert document["@type"] == "MachinePassport"
    assert document["identity"]["make"] == "SANY"
    (component,) = document["components"]
    assert (component["labelNo"], component["unit"]) == (unit.label_no, unit.name)

    public = await passport(await shop.customer(), unit.machine)
    assert public.view == PUBLIC
    assert public.head_sha256 == shown.head_sha256
    for private in (owner.party, buyer.party, sale, unit.work_order):
        assert private in shown.document
        assert private not in public.document
    with refused("NOT_FOUND"):  # the former owner has become a stranger
        await passport(owner, unit.machine, OWNER)

    file = tmp_path / "passport.json"
    file.write_text(public.document)
    assert passport_file.main([str(file)]) == 0
    file.write_text(public.document.replace(unit.label_no, "IL-RM-2020-0000001"))
    assert passport_file.main([str(file)]) == 1


async def hear_of_upkeep(shop: Shop, machine: str) -> None:
    """Let the service hear of a fault, of another one that stops nothing, and of their repair."""
    database = shop.world.running["remanufacturing"].runtime.database
    upkeep = maintenance_events_pb2
    stop, warn = faults_pb2.FAULT_SEVERITY_STOP, faults_pb2.FAULT_SEVERITY_WARN
    raised = upkeep.FaultRaised(machine=machine, fault="faults/1", severity=stop, spn=100, fmi=1)
    lesser = upkeep.FaultRaised(machine=machine, fault="faults/2", severity=warn, oem_code="E1")
    cleared = upkeep.FaultCleared(machine=machine, fault="faults/1", severity=stop)
    work = upkeep.WorkOrderCompleted(
        machine=machine,
        work_order="workOrders/1",
        work_class=work_orders_pb2.WORK_CLASS_CORRECTIVE,
        downtime_hours=number("12"),
        cost=work_orders_pb2.WorkCost(total=wire.money(1_000)),
    )
    await database.run(lambda tx: consumers.note_fault(tx, raised))
    await database.run(lambda tx: consumers.note_fault(tx, lesser))
    await database.run(lambda tx: consumers.note_work(tx, work))
    await database.run(lambda tx: consumers.note_fault_cleared(tx, cleared))


async def test_a_components_passport_begins_with_its_core_and_goes_on_in_the_machine(
    shop: Shop,
) -> None:
    owner = await shop.customer()
    unit = await installed(shop, owner)
    shown = await passport(owner, unit.name)
    assert shown.view == OWNER  # whoever owns the machine owns what is in it
    assert kinds(shown) == [
        "CORE_QUEUED",
        "INCOMING_INSPECTION",
        "DISASSEMBLY",
        "CLEANING",
        "INSPECTION",
        "REWORK",
        "ASSEMBLY",
        "TEST",
        "CERTIFICATION",
        "STOCKING",
        "INSTALLED",
    ]
    document = json.loads(shown.document)
    assert document["identity"]["priorSerialNumber"] == unit.prior_serial_number
    assert document["identity"]["remanClass"] == "REMANUFACTURED"
    assert document["savings"][0]["materialShare"] == "0.8000"
    assert (await passport(shop.foreman, unit.name)).view == OWNER  # its maker wrote it
    stranger = await passport(await shop.customer(), unit.name)
    assert stranger.view == PUBLIC
    assert shop.foreman.subject not in stranger.document


async def test_a_sold_units_passport_is_its_buyers(shop: Shop) -> None:
    buyer = await shop.customer(fen=PRICE)
    unit = await shop.stocked(await shop.family())
    with refused("NOT_FOUND"):
        await passport(buyer, unit.name, OWNER)
    await reman(buyer).BuyUnit(
        reman_pb2.BuyUnitRequest(request_id=rid(), name=unit.name, expected_price=wire.money(PRICE))
    )
    assert kinds(await passport(buyer, unit.name, OWNER))[-1] == "SOLD"


async def test_a_passport_of_ours_is_known_and_says_how_much_has_followed(shop: Shop) -> None:
    unit = await shop.stocked(await shop.family())
    anyone = await shop.customer()
    before = await passport(anyone, unit.name)
    await reman(await shop.customer(fen=PRICE)).BuyUnit(
        reman_pb2.BuyUnitRequest(request_id=rid(), name=unit.name, expected_price=wire.money(PRICE))
    )
    old, now = await verified(anyone, before.document), await passport(anyone, unit.name)
    assert (old.is_intact, old.is_known, old.entries_since) == (True, True, 1)
    fresh = await verified(anyone, now.document)
    assert (fresh.is_known, fresh.entries_since) == (True, 0)
    assert fresh.entry_count == now.entry_count


async def test_a_changed_or_invented_passport_is_found_out(shop: Shop) -> None:
    unit = await shop.stocked(await shop.family())
    anyone = await shop.customer()
    shown = json.loads((await passport(anyone, unit.name)).document)
    shown["entries"][7]["public"]["passed"] = False
    changed = await verified(anyone, json.dumps(shown))
    assert (changed.is_intact, changed.broken_entry, changed.is_known) == (False, 8, False)
    rubbish = await verified(anyone, "[[[[")
    assert (rubbish.is_intact, rubbish.is_known) == (False, False)
    invented = await verified(anyone, _invented(unit.name))
    assert (invented.is_intact, invented.is_known) == (True, False)


def _invented(subject: str) -> str:
    entry = next_entry(
        subject,
        number=1,
        previous_sha256=START,
        kind="CORE_QUEUED",
        at=datetime(2026, 1, 1, tzinfo=UTC),
        public={"identity": {"component": "ENGINE"}},
        private={},
        salt="",
    )
    return document_of(subject, [entry], shows_private=False)


async def verified(actor: Actor, document: str) -> passports_pb2.VerifyPassportResponse:
    return await passports(actor).VerifyPassport(
        passports_pb2.VerifyPassportRequest(document=document)
    )


async def test_what_has_no_passport_is_not_found(shop: Shop) -> None:
    for collection in ("machines", "units"):
        with refused("NOT_FOUND"):
            await passport(shop.foreman, name(collection, new_id()))


async def test_hours_that_go_on_are_no_entry_and_a_new_model_is(shop: Shop) -> None:
    owner = await shop.customer("SELLER", "LESSOR")
    machine = await shop.machine(owner)
    stub = owner.stub(machines_pb2_grpc.MachineServiceStub)

    async def update(path: str, **facts: Any) -> None:
        request = machines_pb2.UpdateMachineRequest(request_id=rid(), name=machine.name, **facts)
        request.update_mask.paths.append(path)
        await stub.UpdateMachine(request)

    await update("hours_meter", hours_meter=number("3300"))
    await update("model", model="SY235C")
    await shop.world.until_at_rest()
    shown = await passport(owner, machine.name)
    assert kinds(shown) == ["REGISTERED", "CORRECTED"]
    assert json.loads(shown.document)["identity"]["model"] == "SY235C"


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("part_family_version", "content"),
        ("reman_step", "note"),
        ("bench_run", "measurements"),
        ("passport_entry", "public_facts"),
    ],
)
async def test_the_service_itself_cannot_change_what_was_recorded(
    shop: Shop, table: str, column: str
) -> None:
    await shop.stocked(await shop.family())
    connection = await asyncpg.connect(shop.world.dsn("remanufacturing"))
    try:
        assert await connection.fetchval(f"select count(*) from {table}")
        for change in (f"delete from {table}", f"update {table} set {column} = {column}"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(change)
    finally:
        await connection.close()
