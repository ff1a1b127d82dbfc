"""Fleets out over HTTP: what came in, page by page."""

import asyncio
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import replace

import pytest

from infra.local.client import Actor
from services.iso15143.model import Fleet, Header, Hours
from services.iso15143.reader import read_page, read_series
from services.iso15143.writer import write_page
from tests.integration.maintenance.field import Field
from tests.support.world import World
from tests.unit.iso15143 import dialects


async def get(
    url: str, actor: Actor | None = None, *, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Ask for a page; return status, headers and body."""
    if actor is not None:
        headers["Authorization"] = f"Bearer {actor.token}"
    request = urllib.request.Request(url, headers=headers, method=method)

    def ask() -> tuple[int, dict[str, str], bytes]:
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    return await asyncio.to_thread(ask)


async def register_all(owner: Field, fleet: Fleet) -> None:
    """Register the machines of a page."""
    for equipment in fleet.equipment:
        header = equipment.header
        await owner.machine(
            serial_number=header.serial_number or f"{header.equipment_id}-SN",
            make=header.oem_name or "Northwind",
            **({"pin": header.pin} if header.pin else {}),
        )


@pytest.mark.parametrize("accept", ["application/xml", "application/json"])
async def test_what_came_in_goes_out_as_the_same_fleet(
    owner: Field, pages_url: str, accept: str
) -> None:
    sent = read_page(dialects.WHOLE).fleet
    unknown = read_page(dialects.UNKNOWN).fleet.equipment[0]
    tag = "x" if accept.endswith("xml") else "j"
    (whole,) = sent.equipment
    header = replace(whole.header, serial_number=f"WHOLE-{tag}", pin=None, equipment_id=f"W-{tag}")
    unknown_header = replace(unknown.header, serial_number=f"UNKNOWN-{tag}")
    fleet = replace(
        sent,
        equipment=(replace(whole, header=header), replace(unknown, header=unknown_header)),
    )
    await register_all(owner, fleet)
    report = await owner.take(document=write_page(fleet))
    assert report.unknown_machines == report.unreadable == 0
    status, headers, body = await get(f"{pages_url}/Fleet/1", owner.owner, Accept=accept)
    assert (status, headers["content-type"]) == (200, accept)
    shown = read_page(body)
    assert shown.problems == ()
    by_id = {one.header.equipment_id: one for one in shown.fleet.equipment}
    whole_again = by_id[f"W-{tag}"]
    # A fault goes out with our word for its severity; everything else as it came.
    assert [fault.identifier for fault in whole_again.faults] == [
        fault.identifier for fault in fleet.equipment[0].faults
    ]
    assert replace(whole_again, faults=()) == replace(fleet.equipment[0], faults=())
    unknown_again = by_id[unknown_header.equipment_id]
    assert unknown_again == replace(unknown, header=unknown_header)
    # Out and in again: nothing is new.
    again = await owner.take(document=body)
    assert (again.accepted, again.unknown_machines) == (0, 0)
    assert again.duplicate == report.accepted


async def test_pages_are_linked_and_end(owner: Field, pages_url: str) -> None:
    for _ in range(3):
        await owner.machine()
    status, _, body = await get(f"{pages_url}/Fleet/1", owner.owner)
    fleet = read_page(body).fleet
    assert (status, len(fleet.equipment), fleet.next_href) == (200, 0, None)
    # Machines are known once something of them has come in.
    for number in range(101):
        machine = await owner.machine()
        await owner.hours(machine.name, (1, str(number)))
    first = read_page((await get(f"{pages_url}/Fleet/1", owner.owner))[2]).fleet
    assert len(first.equipment) == 100
    assert first.next_href == f"{pages_url}/Fleet/2"
    second = read_page((await get(first.next_href, owner.owner))[2]).fleet
    assert (len(second.equipment), second.next_href) == (1, None)
    rels = {link.rel: link.href for link in second.links}
    assert rels["prev"] == rels["first"] == f"{pages_url}/Fleet/1"
    assert rels["self"] == rels["last"] == f"{pages_url}/Fleet/2"


async def test_a_machine_and_its_series_have_addresses_of_their_own(
    owner: Field, pages_url: str
) -> None:
    machine = await owner.machine(model="NW 220")
    await owner.hours(machine.name, (1, "11"), (2, "12"), (3, "13.5"))
    numbers = f"MakeModelSerial/Northwind/NW%20220/{machine.serial_number}"
    for named in (machine.serial_number, numbers):
        _, _, body = await get(f"{pages_url}/Fleet/Equipment/{named}", owner.owner)
        (shown,) = read_page(body).fleet.equipment
        assert shown.operating_hours == Hours(shown.operating_hours.hours, owner.at(3))  # type: ignore[union-attr]
        span = f"{owner.at(2):%Y-%m-%dT%H:%M:%SZ}/{owner.at(4):%Y-%m-%dT%H:%M:%SZ}"
        url = f"{pages_url}/Fleet/Equipment/{named}/CumulativeOperatingHours/{span}"
        for accept in ("application/xml", "application/json"):
            _, _, body = await get(url, owner.owner, Accept=accept)
            series, problems = read_series(body)
            assert problems == ()
            assert [str(reading.hours) for reading in series.readings] == ["12", "13.5"]  # type: ignore[union-attr]
            assert series.header == Header(
                machine.serial_number, "Northwind", "NW 220", machine.serial_number
            )
    assert (await get(f"{url}/2", owner.owner))[0] == 404


async def test_a_request_without_right_or_sense_gets_no_page(
    owner: Field, pages_url: str, world: World
) -> None:
    machine = await owner.machine()
    await owner.hours(machine.name, (1, "1"))
    mine = f"{pages_url}/Fleet/Equipment/{machine.serial_number}"
    status, headers, _ = await get(f"{pages_url}/Fleet/1")
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert (await get(f"{pages_url}/Fleet/1", Authorization="Bearer forged"))[0] == 401
    assert (await get(f"{pages_url}/Fleet/1", await world.party("FUNDER")))[0] == 403
    other = await world.party("LESSOR")
    assert (await get(mine, other))[0] == 404
    assert read_page((await get(f"{pages_url}/Fleet/1", other))[2]).fleet.equipment == ()
    for path, expected in {
        "/": 404,
        "/Fleet": 405,
        "/Fleet/0": 404,
        "/Fleet/2": 404,
        "/Fleet/x": 404,
        "/Fleet/99999999999999999999": 404,
        "/Fleet/Equipment": 404,
        "/Fleet/Equipment/none": 404,
        "/Fleet/Equipment/a%00b": 404,
        f"/Fleet/Equipment/{machine.serial_number}/Nothing/2026-01-01/2026-01-02": 404,
        f"/Fleet/Equipment/{machine.serial_number}/Locations/soon/2026-01-02": 400,
        f"/Fleet/Equipment/{machine.serial_number}/Locations/2026-01-01/2026-01-02/2": 404,
    }.items():
        assert (await get(f"{pages_url}{path}", owner.owner))[0] == expected, path
    assert (await get(mine, owner.owner, method="DELETE"))[0] == 405
    status, headers, body = await get(mine, owner.owner, method="HEAD")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 100


async def test_what_is_no_request_is_refused_and_the_next_one_answered(
    owner: Field, pages_url: str
) -> None:
    host, _, port = pages_url.removeprefix("http://").partition(":")
    for sent, expected in (
        (b"NOT HTTP\r\n\r\n", b"400"),
        (b"GET /Fleet/1 HTTP/1.1\r\nbroken\r\n\r\n", b"400"),
        (b"POST /Fleet/1 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", b"413"),
        (b"GET /Fleet/1 HTTP/1.1\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", b"431"),
        (b"GET /Fleet/1 HTTP/1.1\r\n" + b"X: y\r\n" * 4_000 + b"\r\n", b"431"),
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        assert (await reader.readline()).split()[1] == expected
        writer.close()
    # Two requests on one connection.
    reader, writer = await asyncio.open_connection(host, int(port))
    for _ in range(2):
        writer.write(
            b"HEAD /Fleet/1 HTTP/1.1\r\nAuthorization: Bearer "
            + owner.owner.token.encode()
            + b"\r\n\r\n"
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.close()
