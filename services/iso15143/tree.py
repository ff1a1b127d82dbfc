"""XML and JSON pages as one kind of tree, so that one reader takes every dialect.

Names are lower case without namespace; attributes stand among the children, because dialects put
the same value (dateTime above all) now in the one and now in the other place.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from lxml import etree

from services.iso15143.errors import PageRefused

PAGE_BYTES_MAX = 16 * 1024 * 1024  # a page of 100 machines is about 200 kB
DEPTH_MAX = 20  # a page has four levels
_FLAG = "specified"  # in JSON: "altitudeSpecified": false means that "altitude" says nothing


@dataclass(frozen=True, slots=True)
class Node:
    """A named value with named parts."""

    name: str
    text: str
    children: tuple["Node", ...] = ()

    def all(self, name: str) -> Iterator["Node"]:
        """Return the parts with a name, in order."""
        return (child for child in self.children if child.name == name)

    def first(self, *names: str) -> "Node | None":
        """Return the first part with one of these names."""
        return next((child for child in self.children if child.name in names), None)


def parse(page: bytes) -> Node:
    """Return a page's root; XML and JSON are told apart by their first character.

    Raises:
        PageRefused: It is too large, too deep, not well-formed, or holds a document type.
    """
    if len(page) > PAGE_BYTES_MAX:
        raise PageRefused(f"the page has {len(page):,} bytes, more than {PAGE_BYTES_MAX:,}")
    start = page.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return _parse_json(page) if start in {b"{", b"["} else _parse_xml(page)


def _parse_xml(page: bytes) -> Node:
    # Neither entities nor a document type are of any use in a page; both have been used to read
    # files and to fill memory.
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(page, parser)
    except etree.XMLSyntaxError as error:
        raise PageRefused(f"the page is not well-formed XML: {error.msg}") from error
    document: Any = root.getroottree()
    if document.docinfo.doctype:
        raise PageRefused("the page holds a document type, which no fleet page needs")
    return _of_element(root, 0)


def _of_element(element: Any, depth: int) -> Node:
    _check_depth(depth)
    attributes = (
        Node(etree.QName(key).localname.lower(), value.strip())
        for key, value in element.attrib.items()
    )
    children = (_of_element(child, depth + 1) for child in element)
    return Node(
        etree.QName(element).localname.lower(),
        (element.text or "").strip(),
        (*attributes, *children),
    )


def _parse_json(page: bytes) -> Node:
    try:
        root = json.loads(page, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise PageRefused(f"the page is not well-formed JSON: {error}") from error
    if isinstance(root, list):
        raise PageRefused("the page is a JSON array, not a fleet")
    inner = root.get("fleet") or root.get("Fleet")
    fleet = inner if isinstance(inner, dict) else root
    if "equipment" not in {key.lower() for key in fleet}:
        raise PageRefused("the page is a JSON object without equipment, not a fleet")
    return _of_value("fleet", fleet, 0)


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _of_value(name: str, value: Any, depth: int) -> Node:
    _check_depth(depth)
    if not isinstance(value, dict):
        return Node(name, _text_of(value))
    unspecified = {
        key.lower().removesuffix(_FLAG)
        for key, flag in value.items()
        if key.lower().endswith(_FLAG) and flag is False
    }
    children: list[Node] = []
    for key, item in value.items():
        part = key.lower()
        if item is None or part.endswith(_FLAG) or part in unspecified:
            continue
        items = item if isinstance(item, list) else [item]
        children += (_of_value(part, one, depth + 1) for one in items if one is not None)
    return Node(name, "", tuple(children))


def _text_of(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if isinstance(value, list) else str(value).strip()


def _check_depth(depth: int) -> None:
    if depth > DEPTH_MAX:
        raise PageRefused(f"the page is more than {DEPTH_MAX} levels deep")
