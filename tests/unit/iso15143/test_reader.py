"""Fleet pages of every dialect, read into one form."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.iso15143.errors import PageRefused
from services.iso15143.model import Equipment, Fault, Header, Level, Part
from services.iso15143.reader import EQUIPMENT_MAX, read_page, read_series
from services.iso15143.tree import NODES_MAX, PAGE_BYTES_MAX
from tests.unit.iso15143 import dialects

SNAPSHOT = Path(__file__).parents[4] / "shared" / "data" / "telematics" / "fleet_snapshot_a.xml"


def read(page: bytes) -> tuple[Equipment, ...]:
    result = read_page(page)
    assert result.problems == ()
    return result.fleet.equipment


def test_every_element_of_the_standard_is_read() -> None:
    result = read_page(dialects.WHOLE)
    assert result.problems == ()
    (machine,) = result.fleet.equipment
    assert machine.header == Header(
        equipment_id="NW-1",
        oem_name="Northwind",
        model="NW 220 LC",
        serial_number="NW220-000017",
        pin="NWX0220LCBWZ00017",
        unit_install_time=datetime(2022, 4, 5, 6, 7, 8, tzinfo=UTC),
    )
    left_out = [field for field in Equipment.__slots__ if not getattr(machine, field)]
    assert left_out == ["extras"]
    assert machine.operating_hours is not None
    assert machine.operating_hours.hours == Decimal("4120.55")
    assert machine.operating_hours.read_at == datetime(2026, 3, 1, 0, 10, tzinfo=UTC)
    assert machine.idle_hours is not None
    assert machine.idle_hours.hours == Decimal("1030.5")
    assert machine.regeneration_hours is not None
    assert machine.regeneration_hours.hours == 26
    assert machine.load_count is not None
    assert machine.load_count.total == 90_211
    assert [(switch.number, switch.value) for switch in machine.switches] == [
        ("3", "on"),
        ("4", "off"),
    ]
    assert machine.faults[0].severity == "STOP"
    assert result.fleet.snapshot_time == datetime(2026, 3, 1, 0, 15, tzinfo=UTC)
    assert result.fleet.next_href == "https://api.example/Fleet/2"


def test_instants_stand_in_attributes_or_children_and_unknowns_are_none() -> None:
    first, second = read(dialects.CHILD_INSTANTS)
    assert first.operating_hours is not None
    assert first.operating_hours.read_at == datetime(2026, 2, 20, 11, 8, 34, tzinfo=UTC)
    assert first.engine is not None
    assert first.engine.read_at == datetime(2026, 2, 20, 10, 37, 57, tzinfo=UTC)
    assert (first.engine.number, first.engine.is_running) == (None, False)
    assert first.header.model is None
    assert first.header.unit_install_time is None
    assert (first.header.serial_number, first.header.pin) == ("T4410", None)
    assert first.fuel_remaining == Level(
        Decimal("62.40"), None, "litre", datetime(2026, 2, 20, 10, 53, 34, tzinfo=UTC)
    )
    assert (second.header.serial_number, second.header.pin) == (None, "TRN0TB900BWZ00002")
    assert second.operating_hours is None


def test_a_next_link_to_the_page_itself_ends_the_paging() -> None:
    assert read_page(dialects.CHILD_INSTANTS).fleet.next_href is None
    assert read_page(dialects.CAMEL_CASE).fleet.next_href == "https://j.example/Fleet/2"
    assert read_page(dialects.MINUTES).fleet.next_href is None


def test_prefixes_zones_and_caution_codes_are_read() -> None:
    (machine,) = read(dialects.CAUTIONS)
    assert machine.header.equipment_id == "B30-77"
    assert machine.operating_hours is not None
    assert machine.operating_hours.read_at == datetime(2026, 2, 20, 7, 0, tzinfo=UTC)
    at = datetime(2026, 2, 20, 7, 0, tzinfo=UTC)
    assert machine.faults == (Fault("C-12", "coolant", "amber", None, at),)
    snapshot_time = read_page(dialects.CAUTIONS).fleet.snapshot_time
    assert snapshot_time == datetime(2026, 2, 20, 8, 0, 0, 123456, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stated", "hours"), [(None, "1.5"), (True, "1.5"), (False, "90")], ids=str
)
def test_idle_minutes_become_hours(stated: bool | None, hours: str) -> None:
    (machine,) = read_page(dialects.MINUTES, idle_in_minutes=stated).fleet.equipment
    assert machine.idle_hours is not None
    assert machine.idle_hours.hours == Decimal(hours)
    assert machine.operating_hours is not None
    assert machine.operating_hours.hours == 100


def test_minutes_under_their_own_name_become_hours() -> None:
    page = dialects.MINUTES.replace(b"/minutes", b"").replace(
        b"<Hour>90</Hour>", b"<Minutes>90</Minutes>"
    )
    (machine,) = read(page)
    assert machine.idle_hours is not None
    assert machine.idle_hours.hours == Decimal("1.5")


def test_json_flags_say_what_was_given() -> None:
    (machine,) = read(dialects.CAMEL_CASE)
    assert machine.header == Header("J-1", "Juno", "J1", "J1-5")
    assert machine.location is not None
    assert machine.location.longitude == Decimal("-112.25")
    assert machine.location.altitude is None
    assert machine.operating_hours is not None
    assert machine.operating_hours.hours == Decimal("812.5")
    assert machine.engine is not None
    assert (machine.engine.number, machine.engine.is_running) == ("1", True)
    assert machine.load_count is not None
    assert machine.load_count.total == 12


def test_what_cannot_be_read_is_reported_and_the_rest_is_taken() -> None:
    result = read_page(dialects.BROKEN)
    assert [(problem.machine, problem.element) for problem in result.problems] == [
        ("#0", "EquipmentHeader"),
        ("X-1", "Location"),
        ("X-1", "CumulativeOperatingHours"),
        ("X-1", "CumulativeIdleHours"),
        ("X-1", "FuelUsed"),
        ("X-1", "FuelRemaining"),
        ("X-1", "EngineStatus"),
        ("X-1", "CumulativeLoadCount"),
        ("#2", "EquipmentHeader"),
    ]
    reasons = {problem.element: problem.reason for problem in result.problems}
    assert reasons["Location"] == "Latitude 128 is outside -90 to 90"
    assert reasons["CumulativeOperatingHours"] == '"yesterday" is no instant of ISO 8601'
    taken, last = result.fleet.equipment
    assert taken.distance is not None
    assert (taken.distance.amount, taken.distance.units) == (Decimal(77), "kilometre")
    assert taken.location is None
    assert taken.operating_hours is None
    assert last.header.equipment_id == "LAST-ONE"


def test_of_an_element_sent_twice_the_newest_reading_is_kept() -> None:
    hours = b'<CumulativeOperatingHours datetime="%s"><Hour>%s</Hour></CumulativeOperatingHours>'
    twice = hours % (b"2026-01-02T00:00:00Z", b"7") + hours % (b"2026-01-01T00:00:00Z", b"6")
    page = (
        b"<Fleet><Equipment><EquipmentHeader><PIN>A</PIN></EquipmentHeader>"
        + twice
        + b"</Equipment></Fleet>"
    )
    (machine,) = read(page)
    assert machine.operating_hours is not None
    assert machine.operating_hours.hours == 7


def test_what_the_standard_does_not_know_is_kept() -> None:
    result = read_page(dialects.UNKNOWN)
    assert result.problems == ()
    assert result.fleet.extras == (Part("region", "north"),)
    (machine,) = result.fleet.equipment
    assert machine.header.extras == (Part("Telematics", "on", (Part("unit", "T9"),)),)
    assert machine.location is not None
    assert machine.location.extras == (Part("Accuracy", "5", (Part("units", "metre"),)),)
    assert [part.name for part in machine.extras] == ["TyrePressure", "TyrePressure", "group"]
    first, second, group = machine.extras
    assert first.parts[0].parts == (Part("Left", "3.1"), Part("Right", "3.2"), Part("number", "1"))
    assert second.parts[0].parts == (Part("Left", "3.0"), Part("number", "2"))
    assert group == Part("group", "quarry")


def test_an_unknown_json_member_is_kept_and_one_that_xml_cannot_hold_is_reported() -> None:
    page = (
        b'{"equipment": [{"equipmentHeader": {"equipmentId": "A"}, "tilt": {"deg": 1.50}, '
        b'"no name": 1}]}'
    )
    result = read_page(page)
    assert result.fleet.equipment[0].extras == (Part("tilt", "", (Part("deg", "1.50"),)),)
    assert [(problem.machine, problem.element) for problem in result.problems] == [("A", "no name")]


def test_a_time_series_is_read_by_either_of_its_names() -> None:
    series, problems = read_series(dialects.SERIES)
    assert series.element == "FuelUsed"
    assert [reading.amount for reading in series.readings] == [Decimal("10.5"), 11]  # type: ignore[union-attr]
    assert [problem.reason for problem in problems] == ['"much" is no number']
    with pytest.raises(PageRefused):
        read_series(dialects.WHOLE)


@pytest.mark.parametrize("encoding", ["gbk", "utf-16", "iso-8859-1", "windows-1252"])
def test_a_page_is_read_in_its_own_encoding(encoding: str) -> None:
    model = "挖掘机" if encoding in {"gbk", "utf-16"} else "Grävling"
    text = (
        f'<?xml version="1.0" encoding="{encoding}"?><Fleet><Equipment><EquipmentHeader>'
        f"<EquipmentID>A</EquipmentID><Model>{model}</Model></EquipmentHeader></Equipment></Fleet>"
    )
    (machine,) = read(text.encode(encoding))
    assert machine.header.model == model


LAUGHS = (
    b'<!DOCTYPE Fleet [<!ENTITY a "ha"><!ENTITY b "'
    + b"&a;" * 50
    + b'"><!ENTITY c "'
    + b"&b;" * 50
    + b'"><!ENTITY d "'
    + b"&c;" * 50
    + b'"><!ENTITY e "'
    + b"&d;" * 50
    + b'">]>'
)


@pytest.mark.parametrize(
    "page",
    [
        b"",
        b"no page",
        b"<Fleet>",
        b"<Vessels/>",
        b"[]",
        b"{}",
        b'{"equipment": NaN}',
        b'{"equipment": [',
        b"\xff\xfe\xfd",
        LAUGHS + b"<Fleet>&e;</Fleet>",
        LAUGHS + b'<Fleet version="&e;"/>',
        b'<!DOCTYPE Fleet [<!ENTITY f SYSTEM "file:///etc/passwd">]><Fleet>&f;</Fleet>',
        b'<!DOCTYPE Fleet SYSTEM "http://127.0.0.1:1/evil.dtd"><Fleet/>',
        b"<Fleet>" + b"<a>" * 60 + b"</a>" * 60 + b"</Fleet>",
        b'{"equipment": ' + b'{"a": ' * 60 + b"1" + b"}" * 61,
        b'{"equipment": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"equipment": [' + b"[]," * NODES_MAX + b"1]}",
        b'<?xml version="1.0" encoding="no-such"?><Fleet/>',
        b"<Fleet>" + b"<Equipment/>" * (EQUIPMENT_MAX + 1) + b"</Fleet>",
        b"<Fleet>" + b" " * PAGE_BYTES_MAX + b"</Fleet>",
    ],
    ids=lambda page: page[:24].decode(errors="replace"),
)
def test_a_page_that_is_none_or_is_hostile_is_refused(page: bytes) -> None:
    with pytest.raises(PageRefused):
        read_page(page)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(page: bytes) -> None:
    for candidate in (page, b"<Fleet>" + page + b"</Fleet>", b'{"equipment":' + page + b"}"):
        try:
            read_page(candidate)
        except PageRefused:
            continue


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["hour", "datetime", "percent", "count", "running", "pin", "equipmentHeader", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "equipmentHeader",
                "location",
                "cumulativeOperatingHours",
                "cumulativeIdleHours",
                "engineStatus",
                "cumulativeLoadCount",
                "fuelRemaining",
                "faultCode",
            ]
        ),
        JSON_VALUES,
    )
)
def test_any_json_of_a_machine_is_read_or_reported(machine: dict[str, object]) -> None:
    page = json.dumps({"equipment": [machine]}).encode()
    try:
        result = read_page(page)
    except PageRefused:
        return
    assert len(result.fleet.equipment) + len(result.problems) >= 1


@pytest.mark.skipif(not SNAPSHOT.exists(), reason=f"development page not found at {SNAPSHOT}")
def test_a_real_page_is_read_whole() -> None:
    result = read_page(SNAPSHOT.read_bytes())
    assert result.problems == ()
    assert len(result.fleet.equipment) == 27
    assert sum(machine.operating_hours is not None for machine in result.fleet.equipment) == 24
    assert result.fleet.next_href is None
