"""Reads a fleet page of any dialect, and a page of a time series.

What cannot be read is left out and reported with its machine and element; the rest is taken. What
the standard does not know is kept beside it.
"""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any

from services.iso15143 import values
from services.iso15143.elements import BY_NAME, BY_SEGMENT, IN_MINUTES, Element, read_header
from services.iso15143.errors import PageRefused, Unreadable
from services.iso15143.model import (
    MINUTES_PATH,
    Equipment,
    Fleet,
    Link,
    Page,
    Part,
    Problem,
    Reading,
    Series,
)
from services.iso15143.tree import Node, name_of, own_name, parse, parts_of, texts_of

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
    if name_of(root.tag) != "fleet":
        raise PageRefused(f'the page is a "{own_name(root.tag)[:40]}", not a Fleet')
    problems: list[Problem] = []
    links = tuple(_read_links(root, problems))
    rows = [node for node in root if name_of(node.tag) == "equipment"]
    if len(rows) > EQUIPMENT_MAX:
        raise PageRefused(f"the page holds {len(rows):,} machines, more than {EQUIPMENT_MAX:,}")
    if idle_in_minutes is None:
        idle_in_minutes = Fleet((), links).has_idle_in_minutes
    equipment = [
        machine
        for place, row in enumerate(rows)
        if (machine := _read_equipment(row, place, problems, in_minutes=idle_in_minutes))
    ]
    texts = texts_of(root)
    fleet = Fleet(
        equipment=tuple(equipment),
        links=links,
        version=_lenient(values.text, texts.get("version"), "version", problems),
        snapshot_time=_lenient(values.instant, texts.get("snapshottime"), "snapshotTime", problems),
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
    name = name_of(root.tag)
    stem = name.removesuffix(_MESSAGES)
    element = BY_NAME.get(stem) or BY_SEGMENT.get(stem)
    if element is None or stem == name:
        raise PageRefused(f'the page is a "{own_name(root.tag)[:40]}", not a time series')
    problems: list[Problem] = []
    header = None
    if (node := next((part for part in root if name_of(part.tag) == _HEADER), None)) is not None:
        header = _lenient(read_header, node, "EquipmentHeader", problems)
    names = {*element.names, element.segment.lower(), "message"}
    rows = [node for node in root if name_of(node.tag) in names]
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
        version=_lenient(values.text, texts_of(root).get("version"), "version", problems),
    )
    return series, tuple(problems)


def _read_links(root: Node, problems: list[Problem]) -> Iterator[Link]:
    for node in root:
        if name_of(node.tag) == "links":
            texts = texts_of(node)
            rel = _lenient(values.text, texts.get("rel"), "Links", problems)
            href = _lenient(values.text, texts.get("href"), "Links", problems)
            if rel and href:
                yield Link(rel, href)


def _lenient(read: Any, stated: Node | str | None, element: str, problems: list[Problem]) -> Any:
    try:
        return read(stated)
    except Unreadable as error:
        problems.append(Problem("", element, str(error)))
        return None


def _extras(
    node: Node, known: Collection[str], *, machine: str, problems: list[Problem]
) -> tuple[Part, ...]:
    """Return the parts of unknown names; one that cannot be kept is reported."""
    found = []
    for name, text, part in parts_of(node, but=known):
        try:
            found.append(values.extra(name, text, part))
        except Unreadable as error:
            problems.append(Problem(machine, name[:100], str(error)))
    return values.by_name(found)


_HEADER = "equipmentheader"
_EQUIPMENT_PARTS = frozenset({_HEADER, *BY_NAME})
_MANY = frozenset(element.attribute for element in BY_NAME.values() if element.many)


def _read_equipment(
    row: Node, place: int, problems: list[Problem], *, in_minutes: bool
) -> Equipment | None:
    parts = [(name_of(node.tag), node) for node in row]
    try:
        header = read_header(next((node for name, node in parts if name == _HEADER), None))
    except Unreadable as error:
        problems.append(Problem(f"#{place}", "EquipmentHeader", str(error)))
        return None
    machine = header.equipment_id
    found: dict[str, Any] = {}
    is_known = not row.items()
    for name, node in parts:
        element = BY_NAME.get(name)
        if element is None:
            is_known = is_known and name == _HEADER
            continue
        reading = _read_element(element, node, machine, problems, in_minutes=in_minutes)
        if reading is None:
            continue
        attribute = element.attribute
        if element.many:
            found.setdefault(attribute, []).append(reading)
        elif attribute not in found or _is_newer(reading, found[attribute]):
            found[attribute] = reading
    for attribute in _MANY & found.keys():
        found[attribute] = tuple(found[attribute])
    if not is_known:
        found["extras"] = _extras(row, _EQUIPMENT_PARTS, machine=machine, problems=problems)
    return Equipment(header, **found)


def _read_element(
    element: Element, node: Node, machine: str, problems: list[Problem], *, in_minutes: bool
) -> Reading | None:
    """Return a reading with its extras; what cannot be read is reported."""
    texts = texts_of(node)
    if in_minutes and element.attribute in _MINUTES_ATTRIBUTES:
        texts[IN_MINUTES] = ""
    try:
        reading: Reading = element.read(texts)
    except Unreadable as error:
        problems.append(Problem(machine, element.tag, str(error)))
        return None
    if texts.keys() <= element.parts:
        return reading
    kept = _extras(node, element.parts, machine=machine, problems=problems)
    return reading._replace(extras=kept)


def _is_newer(reading: Reading, earlier: Reading) -> bool:
    return (reading.read_at or _LONG_AGO) > (earlier.read_at or _LONG_AGO)
