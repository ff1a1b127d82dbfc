"""What is written reads back as the same fleet."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.iso15143.model import (
    Count,
    Engine,
    Equipment,
    Fault,
    Fleet,
    Header,
    Hours,
    Level,
    Link,
    Location,
    Part,
    Quantity,
    Series,
    Share,
    Switch,
)
from services.iso15143.reader import read_page, read_series
from services.iso15143.writer import (
    NAMESPACE,
    write_json_page,
    write_json_series,
    write_page,
    write_series,
)
from tests.unit.iso15143 import dialects


@pytest.mark.parametrize(
    "page",
    [
        dialects.WHOLE,
        dialects.CHILD_INSTANTS,
        dialects.CAUTIONS,
        dialects.MINUTES,
        dialects.CAMEL_CASE,
        dialects.BROKEN,
        dialects.UNKNOWN,
    ],
    ids=["whole", "child-instants", "cautions", "minutes", "json", "broken", "unknown"],
)
def test_every_dialect_is_written_in_one_form(page: bytes) -> None:
    fleet = read_page(page, idle_in_minutes=page is dialects.MINUTES).fleet
    written = write_page(fleet)
    assert NAMESPACE.encode() in written
    for page_again in (written, write_json_page(fleet)):
        again = read_page(page_again, idle_in_minutes=False)
        assert again.problems == ()
        assert again.fleet == fleet


TEXTS_ALPHABET = st.characters(categories=["L", "N", "P", "S", "Zs"])
TEXTS = (
    st.text(TEXTS_ALPHABET, min_size=1, max_size=20)
    .map(lambda text: " ".join(text.split()))
    .filter(lambda text: text and text.lower() != "missing")
)
INSTANTS = st.none() | st.datetimes(
    min_value=datetime(1990, 1, 1),  # noqa: DTZ001  (hypothesis adds the zone)
    max_value=datetime(2200, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
NUMBERS = st.decimals(0, 10**9, places=3)
PERCENTS = st.decimals(0, 100, places=2)


def by_name(parts: list[Part]) -> tuple[Part, ...]:
    return tuple(sorted(parts, key=lambda part: part.name))


# Names that no page gives a meaning of its own.
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True).map(lambda n: f"x{n}x")
PARTS = st.recursive(
    st.builds(Part, NAMES, st.text(TEXTS_ALPHABET, max_size=12).map(str.strip)),
    lambda inner: st.builds(Part, NAMES, st.just(""), st.lists(inner, max_size=3).map(by_name)),
    max_leaves=4,
)
EXTRAS = st.lists(PARTS, max_size=2).map(by_name)


def builds(kind: type, *values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | st.builds(kind, *values, read_at=INSTANTS, extras=EXTRAS)


HOURS = builds(Hours, NUMBERS)
QUANTITIES = builds(Quantity, NUMBERS, TEXTS)
LEVELS = builds(Level, PERCENTS, st.none() | st.decimals(1, 10_000, places=1), TEXTS)
HEADERS = st.builds(
    Header,
    equipment_id=TEXTS,
    oem_name=st.none() | TEXTS,
    model=st.none() | TEXTS,
    serial_number=st.just("S-1"),
    pin=st.none() | TEXTS.filter(lambda text: text != "S-1"),
    unit_install_time=INSTANTS,
    extras=EXTRAS,
)
EQUIPMENT = st.builds(
    Equipment,
    header=HEADERS,
    location=builds(
        Location,
        st.decimals(-90, 90, places=6),
        st.decimals(-180, 180, places=6),
        st.none() | st.decimals(-500, 9_000, places=2),
    ),
    operating_hours=HOURS,
    idle_hours=HOURS,
    idle_non_operating_hours=HOURS,
    power_take_off_hours=HOURS,
    regeneration_hours=HOURS,
    fuel_used=QUANTITIES,
    fuel_used_last_24=QUANTITIES,
    fuel_remaining=LEVELS,
    def_remaining=LEVELS,
    distance=QUANTITIES,
    engine=builds(Engine, st.none() | TEXTS, st.booleans()),
    load_count=builds(Count, st.integers(0, 10**9)),
    payload_total=QUANTITIES,
    load_factor_last_24=builds(Share, PERCENTS),
    maximum_speed_last_24=QUANTITIES,
    switches=st.lists(builds(Switch, TEXTS, TEXTS).filter(bool), max_size=2).map(tuple),
    faults=st.lists(
        builds(Fault, TEXTS, st.none() | TEXTS, st.none() | TEXTS, st.none() | TEXTS).filter(bool),
        max_size=2,
    ).map(tuple),
    extras=EXTRAS,
)


@settings(max_examples=40)  # each example is a whole fleet
@given(
    st.builds(
        Fleet,
        equipment=st.lists(EQUIPMENT, max_size=2).map(tuple),
        links=st.lists(st.builds(Link, TEXTS, TEXTS), max_size=2).map(tuple),
        version=st.none() | TEXTS,
        snapshot_time=INSTANTS,
        extras=EXTRAS,
    )
)
def test_any_fleet_reads_back_as_it_was_written(fleet: Fleet) -> None:
    for page in (write_page(fleet), write_json_page(fleet)):
        again = read_page(page, idle_in_minutes=False)
        assert again.problems == ()
        assert again.fleet == fleet


@settings(max_examples=40)
@given(
    st.sampled_from(
        [
            ("CumulativeOperatingHours", HOURS.filter(bool)),
            ("FuelUsed", QUANTITIES.filter(bool)),
            ("DEFRemaining", LEVELS.filter(bool)),
            ("SwitchStatus", builds(Switch, TEXTS, TEXTS).filter(bool)),
        ]
    ).flatmap(
        lambda of: st.builds(
            Series,
            element=st.just(of[0]),
            readings=st.lists(of[1], max_size=3).map(tuple),
            header=st.none() | HEADERS,
            links=st.lists(st.builds(Link, TEXTS, TEXTS), max_size=2).map(tuple),
            version=st.none() | TEXTS,
        )
    )
)
def test_any_time_series_reads_back_as_it_was_written(series: Series) -> None:
    for page in (write_series(series), write_json_series(series)):
        assert read_series(page) == (series, ())


def test_json_has_the_names_in_camel_case_and_numbers_as_numbers() -> None:
    fleet = read_page(dialects.WHOLE).fleet
    document = json.loads(write_json_page(fleet))
    (machine,) = document["equipment"]
    assert machine["equipmentHeader"]["oemName"] == "Northwind"
    assert machine["equipmentHeader"]["equipmentId"] == "NW-1"
    assert machine["cumulativeOperatingHours"]["hour"] == 4120.55
    assert machine["engineStatus"]["running"] in {True, False}
    assert {"defRemaining", "fuelUsedLast24", "switchStatus", "faultCode"} <= machine.keys()


def test_numbers_are_written_without_exponents() -> None:
    fleet = Fleet((Equipment(Header("A"), operating_hours=Hours(Decimal("1E+4"), None)),))
    assert b"<Hour>10000</Hour>" in write_page(fleet)
