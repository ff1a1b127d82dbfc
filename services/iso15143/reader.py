"""Reads a fleet page of any dialect, and a page of a time series.

What cannot be read is left out and reported with its machine and element; the rest is taken. What
the standard does not know is kept beside it.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from services.iso15143 import values
from services.iso15143.elements import BY_NAME, BY_SEGMENT, IN_MINUTES, Element, read_header
from services.iso15143.errors import PageRefused, Unreadable
from services.iso15143.model import (
    MINUTES_PATH,
    Equipment,
    Fleet,
    Header,
    Link,
    Page,
    Part,
    Problem,
    Reading,
    Series,
)
from services.iso15143.tree import Node, parse

EQUIPMENT_MAX = 10_000  # the standard pages by 100; some senders put a whole fleet on one page
SERIES_MAX = 100_000  # readings on one page of a time series

_MESSAGES = "messages"  # a time series is wrapped as <{Element}Messages>
_MINUTES_ATTRIBUTES = frozenset({"idle_hours", "idle_non_operating_hours"})
_FLEET_PARTS = frozenset({"links", "equipment", "version", "snapshottime"})
_SERIES_PARTS = frozenset({"links", "equipmentheader", "version"})
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


def read_page(page: bytes, *, idle_in_minutes: bool | None = None) -> Page:
    """Return what a page says.

    Args:
        page: XML or JSON.
        idle_in_minutes: Whether idle time is in minutes; None: as the page's own address says.

    Raises:
        PageRefused: The page as a whole cannot be read.
    """
    root = parse(page)
    if root.name != "fleet":
        raise PageRefused(f'the page is a "{root.tag[:40]}", not a Fleet')
    problems: list[Problem] = []
    links = tuple(_read_links(root, problems))
    rows = list(root.all("equipment"))
    if len(rows) > EQUIPMENT_MAX:
        raise PageRefused(f"the page holds {len(rows):,} machines, more than {EQUIPMENT_MAX:,}")
    if idle_in_minutes is None:
        idle_in_minutes = Fleet((), links).has_idle_in_minutes
    equipment = [
        machine
        for place, row in enumerate(rows)
        if (machine := _read_equipment(row, place, problems, in_minutes=idle_in_minutes))
    ]
    fleet = Fleet(
        equipment=tuple(equipment),
        links=links,
        version=_lenient(values.text, root.first("version"), "version", problems),
        snapshot_time=_lenient(
            values.instant, root.first("snapshottime"), "snapshotTime", problems
        ),
        extras=_extras(root, _FLEET_PARTS, machine="", problems=problems),
    )
    return Page(fleet, tuple(problems))


def read_series(page: bytes, *, address: str = "") -> tuple[Series, tuple[Problem, ...]]:
    """Return what a page of a time series says, and what of it cannot be read.

    Args:
        page: XML or JSON, wrapped as "{Element}Messages" by the element's name or its segment's.
        address: Where it was read, which says whether idle time is in minutes.

    Raises:
        PageRefused: The page as a whole cannot be read.
    """
    root = parse(page)
    stem = root.name.removesuffix(_MESSAGES)
    element = BY_NAME.get(stem) or BY_SEGMENT.get(stem)
    if element is None or stem == root.name:
        raise PageRefused(f'the page is a "{root.tag[:40]}", not a time series')
    problems: list[Problem] = []
    header = None
    if (node := root.first("equipmentheader")) is not None:
        header = _lenient(read_header, node, "EquipmentHeader", problems)
    names = {*element.names, element.segment.lower(), "message"}
    rows = [node for node in root.children if node.name in names]
    if len(rows) > SERIES_MAX:
        raise PageRefused(f"the page holds {len(rows):,} readings, more than {SERIES_MAX:,}")
    machine = header.equipment_id if header else ""
    in_minutes = MINUTES_PATH in address.lower()
    found = (
        _read_element(element, node, machine, problems, in_minutes=in_minutes) for node in rows
    )
    series = Series(
        element=element.tag,
        readings=tuple(reading for reading in found if reading is not None),
        header=header,
        links=tuple(_read_links(root, problems)),
        version=_lenient(values.text, root.first("version"), "version", problems),
    )
    return series, tuple(problems)


def _read_links(root: Node, problems: list[Problem]) -> Iterator[Link]:
    for node in root.all("links"):
        rel = _lenient(values.text, node.first("rel"), "Links", problems)
        href = _lenient(values.text, node.first("href"), "Links", problems)
        if rel and href:
            yield Link(rel, href)


def _lenient(read: Any, node: Node | None, element: str, problems: list[Problem]) -> Any:
    try:
        return read(node)
    except Unreadable as error:
        problems.append(Problem("", element, str(error)))
        return None


def _extras(
    node: Node, known: Collection[str], *, machine: str, problems: list[Problem]
) -> tuple[Part, ...]:
    """Return the parts of unknown names; one that cannot be kept is reported."""
    found = []
    for child in node.children:
        if child.name in known:
            continue
        try:
            found.append(values.extra(child))
        except Unreadable as error:
            problems.append(Problem(machine, child.tag[:100], str(error)))
    return tuple(sorted(found, key=lambda part: part.name))


_EQUIPMENT_PARTS = frozenset({"equipmentheader", *BY_NAME})


def _read_equipment(
    row: Node, place: int, problems: list[Problem], *, in_minutes: bool
) -> Equipment | None:
    header: Header
    try:
        header = read_header(row.first("equipmentheader"))
    except Unreadable as error:
        problems.append(Problem(f"#{place}", "EquipmentHeader", str(error)))
        return None
    machine = header.equipment_id
    found: dict[str, list[Reading]] = {}
    for node in row.children:
        element = BY_NAME.get(node.name)
        if element is None:
            continue
        reading = _read_element(element, node, machine, problems, in_minutes=in_minutes)
        if reading is not None:
            found.setdefault(element.attribute, []).append(reading)
    return Equipment(
        header,
        **{attribute: _kept(attribute, readings) for attribute, readings in found.items()},
        extras=_extras(row, _EQUIPMENT_PARTS, machine=machine, problems=problems),
    )


def _read_element(
    element: Element, node: Node, machine: str, problems: list[Problem], *, in_minutes: bool
) -> Reading | None:
    """Return a reading with its extras; what cannot be read is reported."""
    if in_minutes and element.attribute in _MINUTES_ATTRIBUTES:
        mark = Node(IN_MINUTES, IN_MINUTES, "", [])
        node = Node(node.tag, node.name, node.text, [*node.children, mark])
    try:
        reading: Reading = element.read(node)
    except Unreadable as error:
        problems.append(Problem(machine, element.tag, str(error)))
        return None
    return _with_extras(reading, element, node, machine, problems)


def _with_extras(
    reading: Reading, element: Element, node: Node, machine: str, problems: list[Problem]
) -> Reading:
    known = element.parts
    for child in node.children:
        if child.name not in known:
            break
    else:
        return reading
    kept = _extras(node, element.parts, machine=machine, problems=problems)
    return replace(reading, extras=kept)


def _kept(attribute: str, readings: list[Reading]) -> Any:
    """Return all values of an element that may stand often, else the one read last."""
    if attribute in _MANY:
        return tuple(readings)
    return max(readings, key=lambda reading: reading.read_at or _LONG_AGO)


_MANY = frozenset(element.attribute for element in BY_NAME.values() if element.many)
