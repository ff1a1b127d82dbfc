"""Imports of many machines and listings: each row for itself, and again without harm."""

import asyncio
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask
from google.type import decimal_pb2
from ironloop.marketplace.v1 import listings_pb2, machines_pb2

from infra.local.client import Actor
from tests.integration.marketplace.listing_calls import get_listing
from tests.integration.marketplace.market import (
    WORTH_FEN,
    Valuer,
    document,
    inspect,
    listings,
    machines,
    register_lien,
    registered,
    rid,
)
from tests.support.refusals import refused
from tests.support.world import World

CREATED = machines_pb2.IMPORT_OUTCOME_CREATED
UNCHANGED = machines_pb2.IMPORT_OUTCOME_UNCHANGED
CHANGED = machines_pb2.IMPORT_OUTCOME_CHANGED
REFUSED = machines_pb2.IMPORT_OUTCOME_REFUSED


def row(serial: str, **changes: Any) -> machines_pb2.MachineRow:
    stated: dict[str, Any] = {
        "serial_number": serial,
        "make": "SANY",
        "model": "SY215C",
        "equipment_class": machines_pb2.EQUIPMENT_CLASS_HYDRAULIC_EXCAVATOR,
        "build_year": 2020,
        "hours_meter": "4100.25",
        "replacement_cost_fen": 95_000_000,
    }
    return machines_pb2.MachineRow(**stated | changes)


async def test_a_thousand_rows_with_three_bad_ones_make_all_the_others(
    world: World, valuer: Valuer
) -> None:
    oem = await world.party("SELLER")
    rows = [row(f"SY-{place:04}") for place in range(1_000)]
    rows[10].hours_meter = "many"
    rows[500].make = ""
    rows[999].pin = "SHORT"
    rows[999].id_scheme = machines_pb2.ID_SCHEME_ISO10261
    answer = await import_machines(oem, rows)
    assert (answer.created, answer.unchanged, answer.changed, answer.refused) == (997, 0, 0, 3)
    bad = [report for report in answer.reports if report.outcome == REFUSED]
    assert [(report.index, report.refusals[0].field) for report in bad] == [
        (10, "hours_meter"),
        (500, "make"),
        (999, "pin"),
    ]
    assert [report.refusals[0].reason for report in bad] == [
        "INVALID_FIELD",
        "INVALID_FIELD",
        "PIN_FORM",
    ]
    again = await import_machines(oem, rows)
    assert (again.created, again.unchanged, again.refused) == (0, 997, 3)
    assert {report.name for report in again.reports} == {report.name for report in answer.reports}
    database = world.running["marketplace"].runtime.database
    async with database.read() as connection:
        told = await connection.fetchval(
            "select count(*) from outbox where key = any ($1::text[])",
            [report.name for report in answer.reports],
        )
    assert told == 997


async def test_a_row_corrects_its_machine_and_leaves_open_what_it_does_not_state(
    world: World, seller: Actor
) -> None:
    await import_machines(seller, [row("C-1")])
    answer = await import_machines(
        seller, [row("c-1", hours_meter="4200", replacement_cost_fen=0, build_year=0)]
    )
    assert [report.outcome for report in answer.reports] == [CHANGED]
    found = await machines(seller).GetMachine(
        machines_pb2.GetMachineRequest(name=answer.reports[0].name)
    )
    assert found.hours_meter.value == "4200.00"
    assert found.replacement_cost.units == 950_000
    assert (found.build_year, found.event_sequence) == (2020, 2)


async def test_rows_are_refused_for_what_the_registry_knows(world: World, seller: Actor) -> None:
    other = await world.party("LESSOR")
    await import_machines(other, [row("R-1")])
    await import_machines(seller, [row("R-2", pin="SY215CR0000000002"), row("R-3")])
    answer = await import_machines(
        seller,
        [
            row("R-1"),  # another party's
            row("R-2", pin="SY215CR0000000009"),  # another PIN than the registered one
            row("R-3", hours_meter="12"),
            row("R-4"),
            row("R-4"),  # the same again
            row("R-4", hours_meter="9999"),  # otherwise than the row before
            row("R-5", build_year=2199),
            row("R-6", equipment_class=77),
            row("R-7", replacement_cost_fen=-1),
            row(""),
        ],
    )
    assert [report.outcome for report in answer.reports] == [
        REFUSED, REFUSED, REFUSED, CREATED, UNCHANGED, REFUSED, REFUSED, REFUSED, REFUSED, REFUSED,
    ]  # fmt: skip
    assert [report.refusals[0].reason for report in answer.reports if report.refusals] == [
        "MACHINE_EXISTS",
        "IDENTITY_CONFLICT",
        "HOURS_BELOW_LAST",
        "ROW_REPEATED",
        "INVALID_FIELD",
        "INVALID_FIELD",
        "INVALID_FIELD",
        "INVALID_FIELD",
    ]
    assert answer.reports[8].refusals[0].field == "replacement_cost_fen"


async def test_the_same_import_twice_at_once_makes_each_machine_once(world: World) -> None:
    oem = await world.party("SELLER")
    rows = [row(f"RACE-{place}") for place in range(60)]
    await asyncio.gather(*(import_machines(oem, rows) for _ in range(4)))
    settled = await import_machines(oem, rows)
    assert settled.unchanged == 60
    listed = await machines(oem).ListMachines(machines_pb2.ListMachinesRequest(page_size=200))
    assert len(listed.machines) == 60


async def test_an_import_has_a_limit(seller: Actor) -> None:
    with refused("INVALID_FIELD"):
        await import_machines(seller, [row(f"L-{place}") for place in range(1_001)])
    with refused("INVALID_FIELD"):
        await import_machines(seller, [])


async def test_listings_are_drafted_and_submitted_row_by_row(
    world: World, technician: Actor, valuer: Valuer
) -> None:
    oem = await world.party("SELLER")
    made = await import_machines(oem, [row(f"LI-{place}") for place in range(4)])
    rows = [
        listing_row("A-0", serial_number="li-0", make="Sany", submit=True),
        listing_row("A-1", machine=made.reports[1].name),
        listing_row("A-2", serial_number="LI-2", make="SANY", submit=True, photos=[]),
        listing_row("A-3", serial_number="LI-9", make="SANY"),
        listing_row("", serial_number="LI-3", make="SANY"),
        listing_row("A-5", machine=made.reports[3].name, ask_fen=0),
        listing_row("A-6", machine=made.reports[3].name, format=listings_pb2.LISTING_FORMAT_LEASE),
        listing_row("A-7", machine=made.reports[3].name, photos=[{"uri": "no uri"}]),
        listing_row("A-8"),
    ]
    answer = await import_listings(oem, rows)
    assert [report.outcome for report in answer.reports] == [CREATED, CREATED, *[REFUSED] * 7]
    assert [
        (report.refusals[0].field, report.refusals[0].reason)
        for report in answer.reports
        if report.refusals
    ] == [
        ("", "LISTING_INCOMPLETE"),
        ("", "NOT_FOUND"),
        ("reference", "INVALID_FIELD"),
        ("ask_fen", "INVALID_FIELD"),
        ("lease_programme", "INVALID_FIELD"),
        ("photos[0].uri", "INVALID_FIELD"),
        ("machine", "INVALID_FIELD"),
    ]
    first = await get_listing(oem, answer.reports[0].name)
    assert first.state == listings_pb2.LISTING_STATE_SUBMITTED
    kept = await listings(oem).ListListings(listings_pb2.ListListingsRequest(page_size=200))
    assert {listing.reference for listing in kept.listings} == {"A-0", "A-1"}

    again = await import_listings(oem, rows)
    assert [report.outcome for report in again.reports] == [UNCHANGED, UNCHANGED, *[REFUSED] * 7]
    await inspect(technician, first, hours="4200")
    assert (await import_listings(oem, rows[:1])).unchanged == 1


async def test_a_row_corrects_a_draft_and_not_what_is_submitted(
    world: World, technician: Actor, valuer: Valuer
) -> None:
    oem = await world.party("SELLER")
    made = (await import_machines(oem, [row(f"LC-{place}") for place in range(2)])).reports
    draft = listing_row("B-0", machine=made[0].name)
    await import_listings(oem, [draft])
    draft.ask_fen += 100
    assert (await import_listings(oem, [draft])).changed == 1
    draft.submit = True
    answer = await import_listings(oem, [draft])
    assert answer.changed == 1
    draft.ask_fen += 100
    refusal = (await import_listings(oem, [draft])).reports[0].refusals[0]
    assert refusal.reason == "TRANSITION_REFUSED"
    elsewhere = listing_row("B-0", machine=made[1].name)
    refusal = (await import_listings(oem, [elsewhere])).reports[0].refusals[0]
    assert refusal.reason == "REFERENCE_TAKEN"
    await listings(technician).RejectListing(
        listings_pb2.RejectListingRequest(
            request_id=rid(), name=answer.reports[0].name, rejection_reason="blurred photos"
        )
    )
    draft.ask_fen -= 100
    assert (await import_listings(oem, [draft])).unchanged == 1  # it would be rejected again
    draft.photos.append(document())
    assert (await import_listings(oem, [draft])).changed == 1


async def test_an_import_keeps_no_lien_silent(world: World, valuer: Valuer) -> None:
    oem, funder = await world.party("SELLER"), await world.party("FUNDER")
    machine = await registered(oem)
    await register_lien(world, machine.name, funder)
    answer = await import_listings(oem, [listing_row("C-0", machine=machine.name, submit=True)])
    assert answer.reports[0].refusals[0].reason == "LIENS_UNDISCLOSED"


async def test_an_import_never_revives_a_scrapped_machine(world: World, seller: Actor) -> None:
    made = await import_machines(seller, [row("SCRAP-1")])
    name = made.reports[0].name
    await machines(seller).UpdateMachine(
        machines_pb2.UpdateMachineRequest(
            request_id=rid(),
            name=name,
            update_mask=FieldMask(paths=["hours_meter"]),
            hours_meter=decimal_pb2.Decimal(value="5000"),
        )
    )
    await machines(seller).ScrapMachine(
        machines_pb2.ScrapMachineRequest(request_id=rid(), name=name)
    )
    answer = await import_machines(seller, [row("SCRAP-1", hours_meter="6000")])
    assert answer.reports[0].refusals[0].reason == "MACHINE_SCRAPPED"


def listing_row(reference: str, **changes: Any) -> listings_pb2.ListingRow:
    stated: dict[str, Any] = {
        "reference": reference,
        "format": listings_pb2.LISTING_FORMAT_FIXED,
        "ask_fen": WORTH_FEN,
        "region": "Hunan",
        "photos": [
            {"uri": "https://files.example/a.jpg", "sha256": "a" * 64, "media_type": "image/jpeg"}
        ],
        "title_proofs": [
            {
                "uri": "https://files.example/t.pdf",
                "sha256": "b" * 64,
                "media_type": "application/pdf",
            }
        ],
        "lien_disclosure": {"has_liens": False},
    }
    return listings_pb2.ListingRow(**stated | changes)


async def import_machines(
    actor: Actor, rows: list[machines_pb2.MachineRow]
) -> machines_pb2.ImportMachinesResponse:
    return await machines(actor).ImportMachines(machines_pb2.ImportMachinesRequest(rows=rows))


async def import_listings(
    actor: Actor, rows: list[listings_pb2.ListingRow]
) -> listings_pb2.ImportListingsResponse:
    return await listings(actor).ImportListings(listings_pb2.ImportListingsRequest(rows=rows))
