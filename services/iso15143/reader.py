"""Reads a fleet page of any dialect.

What cannot be read is left out and reported with its machine and element; the rest is taken.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from services.iso15143 import values
from services.iso15143.elements import ELEMENTS, IN_MINUTES, Element, read_header
from services.iso15143.errors import PageRefused, Unreadable
from services.iso15143.model import Equipment, Fleet, Link, Page, Problem
from services.iso15143.tree import Node, parse

EQUIPMENT_MAX = 10_000  # the standard pages by 100; some senders put a whole fleet on one page
# Develon's variant of a page, known by its address, gives idle time in minutes.
MINUTES_PATH = "/minutes"
_MINUTES_ELEMENTS = frozenset({"cumulativeidlehours", "cumulativeidlenonoperatinghours"})
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
        raise PageRefused(f'the page is a "{root.name}", not a Fleet')
    problems: list[Problem] = []
    links = tuple(_read_links(root, problems))
    if idle_in_minutes is None:
        idle_in_minutes = any(
            link.rel.lower() == "self" and MINUTES_PATH in link.href.lower() for link in links
        )
    rows = list(root.all("equipment"))
    if len(rows) > EQUIPMENT_MAX:
        raise PageRefused(f"the page holds {len(rows):,} machines, more than {EQUIPMENT_MAX:,}")
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
    )
    return Page(fleet, tuple(problems))


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


def _read_equipment(
    row: Node, place: int, problems: list[Problem], *, in_minutes: bool
) -> Equipment | None:
    try:
        header = read_header(row.first("equipmentheader"))
    except Unreadable as error:
        problems.append(Problem(f"#{place}", "EquipmentHeader", str(error)))
        return None
    machine = Equipment(header)
    for element in ELEMENTS:
        found = []
        for node in row.children:
            if node.name not in element.names:
                continue
            try:
                found.append(element.read(_marked(node, in_minutes=in_minutes)))
            except Unreadable as error:
                problems.append(Problem(header.equipment_id, element.tag, str(error)))
        if found:
            machine = replace(machine, **{element.attribute: _kept(element, found)})
    return machine


def _kept(element: Element, found: list[Any]) -> Any:
    """Return all values of an element that may stand often, else the one read last."""
    if element.many:
        return tuple(found)
    return max(found, key=lambda reading: reading.read_at or _LONG_AGO)


def _marked(node: Node, *, in_minutes: bool) -> Node:
    if not in_minutes or node.name not in _MINUTES_ELEMENTS:
        return node
    return replace(node, children=(*node.children, Node(IN_MINUTES, "")))
