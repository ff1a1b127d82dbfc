"""Writes fleet pages and time series as XML and JSON; reading them gives the same back.

The XML is the standard's own form; the JSON has the same names in camel case.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

from services.iso15143.elements import BY_NAME, ELEMENTS, Element, stamp, write_header
from services.iso15143.model import Equipment, Fleet, Header, Link, Part, Reading, Series

NAMESPACE = "http://standards.iso.org/iso/15143/-3"

# Parts whose text is a number or a truth; JSON has them without quotes.
_PLAIN = frozenset(
    {"Latitude", "Longitude", "Altitude", "Hour", "FuelConsumed", "Percent", "FuelTankCapacity"}
    | {"DEFTankCapacity", "Odometer", "Count", "Payload", "Speed", "Running"}
)
_WORD = re.compile(r"^(?:[A-Z]+(?=[A-Z][a-z])|[A-Z]+$|[A-Z])")


@dataclass(slots=True)
class _Tree:
    """An element to be written.

    Attributes:
        is_known: Whether its name is the standard's, so that JSON has it in camel case.
    """

    name: str
    text: str = ""
    attributes: list[tuple[str, str]] = field(default_factory=list)
    parts: list["_Tree"] = field(default_factory=list)
    is_known: bool = True


def write_page(fleet: Fleet) -> bytes:
    """Return a fleet page as XML in UTF-8."""
    return _xml(_fleet(fleet))


def write_json_page(fleet: Fleet) -> bytes:
    """Return a fleet page as JSON."""
    return _json_object(_fleet(fleet), lists=_FLEET_LISTS, always="Equipment")


def write_series(series: Series) -> bytes:
    """Return a page of a time series as XML in UTF-8."""
    return _xml(_series(series))


def write_json_series(series: Series) -> bytes:
    """Return a page of a time series as JSON."""
    root = _series(series)
    lists = frozenset({"Links", series.element})
    return b"{" + _quoted(_camel(root.name)) + b":" + _json_object(root, lists=lists) + b"}"


def _fleet(fleet: Fleet) -> _Tree:
    root = _Tree("Fleet")
    if fleet.version is not None:
        root.attributes.append(("version", fleet.version))
    if fleet.snapshot_time is not None:
        root.attributes.append(("snapshotTime", stamp(fleet.snapshot_time)))
    root.parts += _links(fleet.links)
    root.parts += map(_equipment, fleet.equipment)
    root.parts += _extras(fleet.extras)
    return root


def _series(series: Series) -> _Tree:
    element = BY_NAME[series.element.lower()]
    root = _Tree(f"{element.segment}Messages")
    if series.version is not None:
        root.attributes.append(("version", series.version))
    root.parts += _links(series.links)
    if series.header is not None:
        root.parts.append(_header(series.header))
    root.parts += (_reading(element, reading) for reading in series.readings)
    return root


def _links(links: Iterable[Link]) -> Iterator[_Tree]:
    for link in links:
        yield _Tree("Links", parts=[_Tree("rel", link.rel), _Tree("href", link.href)])


def _header(header: Header) -> _Tree:
    parts = [_Tree(tag, text) for tag, text in write_header(header)]
    return _Tree("EquipmentHeader", parts=[*parts, *_extras(header.extras)])


def _equipment(equipment: Equipment) -> _Tree:
    node = _Tree("Equipment", parts=[_header(equipment.header)])
    for element in ELEMENTS:
        value = getattr(equipment, element.attribute)
        if value is not None:
            readings = value if element.many else (value,)
            node.parts += (_reading(element, reading) for reading in readings)
    node.parts += _extras(equipment.extras)
    return node


def _reading(element: Element, reading: Reading) -> _Tree:
    node = _Tree(element.tag, parts=[_Tree(tag, text) for tag, text in element.write(reading)])
    if reading.read_at is not None:
        node.attributes.append(("datetime", stamp(reading.read_at)))
    node.parts += _extras(reading.extras)
    return node


def _extras(parts: Iterable[Part]) -> Iterator[_Tree]:
    for part in parts:
        yield _Tree(part.name, part.text, parts=list(_extras(part.parts)), is_known=False)


def _xml(root: _Tree) -> bytes:
    pieces = ['<?xml version="1.0" encoding="UTF-8"?>\n']
    root.attributes.insert(0, ("xmlns", NAMESPACE))
    _write_xml(root, pieces, "\n")
    pieces.append("\n")
    return "".join(pieces).encode()


def _write_xml(node: _Tree, pieces: list[str], indent: str) -> None:
    stated = "".join(f" {name}={quoteattr(value)}" for name, value in node.attributes)
    pieces.append(f"<{node.name}{stated}>{escape(node.text, _KEPT)}")
    for part in node.parts:
        pieces.append(f"{indent}  ")
        _write_xml(part, pieces, f"{indent}  ")
    pieces.append(f"{indent}</{node.name}>" if node.parts else f"</{node.name}>")


_KEPT = {"\r": "&#13;"}  # a reader makes a line feed of a plain one
_FLEET_LISTS = frozenset(
    {"Links", "Equipment", *(element.tag for element in ELEMENTS if element.many)}
)


def _json(node: _Tree, *, lists: frozenset[str]) -> bytes:
    if not node.parts and not node.attributes:
        return node.text.encode() if node.is_known and node.name in _PLAIN else _quoted(node.text)
    return _json_object(node, lists=lists)


def _json_object(node: _Tree, *, lists: frozenset[str], always: str = "") -> bytes:
    """Return an object; its member `always` is there even where it is empty."""
    members = [(_name(name, node), _quoted(value)) for name, value in node.attributes]
    if node.text:
        members.append((b'"#text"', _quoted(node.text)))
    groups: dict[tuple[str, bool], list[bytes]] = {(always, True): []} if always else {}
    for part in node.parts:
        groups.setdefault((part.name, part.is_known), []).append(_json(part, lists=lists))
    for (name, is_known), values in groups.items():
        many = len(values) != 1 or (is_known and name in lists)
        value = b"[" + b",".join(values) + b"]" if many else values[0]
        members.append((_quoted(_camel(name) if is_known else name), value))
    return b"{" + b",".join(name + b":" + value for name, value in members) + b"}"


def _name(name: str, node: _Tree) -> bytes:
    return _quoted(_camel(name) if node.is_known else name)


def _camel(name: str) -> str:
    """Return a name of the standard in camel case, for example "oemName", "defRemaining"."""
    lowered = _WORD.sub(lambda word: word.group().lower(), name)
    return f"{lowered[:-2]}Id" if lowered.endswith("ID") else lowered


def _quoted(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode()
