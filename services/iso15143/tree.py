"""XML and JSON pages as one kind of tree, so that one reader takes every dialect.

Names are compared in lower case without namespace; attributes stand among the children, because
dialects put the same value (dateTime above all) now in the one and now in the other place.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, BinaryIO
from xml.parsers import expat

from services.iso15143.errors import PageRefused

PAGE_BYTES_MAX = 16 * 1024 * 1024  # a page of 100 machines is about 200 kB
NODES_MAX = 1_000_000  # 10,000 machines of 100 values; each takes about 200 bytes here
CHUNK_BYTES = 256 * 1024
DEPTH_MAX = 20  # a page has four levels

_FLAG = "specified"  # in JSON: "altitudeSpecified": false means that "altitude" says nothing
_TEXT = "#text"  # in JSON: the text of an object that has parts too
_ABOUT_XML = ("xmlns", "xsi:", "xml:")  # attributes that say nothing of a machine
# What expat reads by itself; a page in another encoding (GBK, for example) is decoded before.
_ENCODING = re.compile(rb"""^\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_BUILT_IN = frozenset({"utf-8", "utf-16", "iso-8859-1", "us-ascii"})


@dataclass(slots=True)
class Node:
    """A named value with named parts.

    Attributes:
        tag: Its name in its own case, without namespace.
        name: The same in lower case.
    """

    tag: str
    name: str
    text: str
    children: list["Node"]

    def all(self, name: str) -> Iterator["Node"]:
        """Return the parts with a name, in order."""
        return (child for child in self.children if child.name == name)

    def first(self, name: str, *others: str) -> "Node | None":
        """Return the first part with one of these names."""
        for child in self.children:
            if child.name == name or child.name in others:
                return child
        return None


def read_bounded(stream: BinaryIO) -> bytes:
    """Return what a stream holds, and read no more of it than a page may have.

    Raises:
        PageRefused: It holds more.
    """
    page = bytearray()
    while chunk := stream.read(CHUNK_BYTES):
        page += chunk
        if len(page) > PAGE_BYTES_MAX:
            raise PageRefused(f"the page has more than {PAGE_BYTES_MAX:,} bytes")
    return bytes(page)


def parse(page: bytes) -> Node:
    """Return a page's root; XML and JSON are told apart by their first character.

    Raises:
        PageRefused: It is too large, too deep, not well-formed, or holds a document type.
    """
    if len(page) > PAGE_BYTES_MAX:
        raise PageRefused(f"the page has {len(page):,} bytes, more than {PAGE_BYTES_MAX:,}")
    start = page[:256].removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    return _parse_json(page) if start in {b"{", b"["} else _parse_xml(page)


def _parse_xml(page: bytes) -> Node:
    """Return the root of an XML page, made while expat reads.

    A page without bounds ends where its bound is. The handlers are called for each element, so
    they do no more than they must.
    """
    page, encoding = _in_known_encoding(page)
    names: dict[str, tuple[str, str]] = {}
    top = Node("", "", "", [])
    above = [top]
    left = NODES_MAX

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal left
        known = names.get(tag)
        if known is None:
            local = tag.rpartition(":")[2]
            known = names[tag] = (local, local.lower())
        node = Node(known[0], known[1], "", [])
        above[-1].children.append(node)
        above.append(node)
        left -= 1 + len(attributes)
        if left < 0:
            raise PageRefused(f"the page holds more than {NODES_MAX:,} elements")
        if len(above) > DEPTH_MAX + 2:
            _check_depth(len(above) - 2)
        if not attributes:
            return
        for name, value in attributes.items():
            if not name.startswith(_ABOUT_XML):
                local = name.rpartition(":")[2]
                node.children.append(Node(local, local.lower(), value.strip(), []))

    def end(_: str) -> None:
        node = above.pop()
        if node.text:
            node.text = node.text.strip()

    def text(text: str) -> None:
        if not text.isspace():  # half of a page's texts are its indentation
            above[-1].text += text

    parser = expat.ParserCreate(encoding)
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    # Entities and document types are of no use in a page; both have been used to read files and to
    # fill memory. The page is refused before the first of them is read.
    parser.StartDoctypeDeclHandler = _refuse_document_type
    try:
        parser.Parse(page, True)
    except PageRefused:
        raise
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise PageRefused(f"the page is not well-formed XML: {error}") from error
    return top.children[0]


def _refuse_document_type(*_: object) -> None:
    raise PageRefused("the page holds a document type, which no fleet page needs")


def _in_known_encoding(page: bytes) -> tuple[bytes, str | None]:
    """Return a page in an encoding that expat reads, and that encoding where it must be told."""
    stated = _ENCODING.match(page[:256].removeprefix(b"\xef\xbb\xbf"))
    encoding = stated.group(1).decode().lower() if stated else "utf-8"
    if encoding in _BUILT_IN:
        return page, None
    try:
        return page.decode(encoding).encode(), "utf-8"
    except (LookupError, UnicodeError) as error:
        raise PageRefused(f'the page is not in its own encoding "{encoding}"') from error


def _parse_json(page: bytes) -> Node:
    if page.count(b",") + page.count(b"{") + page.count(b"[") > NODES_MAX:
        raise PageRefused(f"the page holds more than {NODES_MAX:,} values")
    try:
        root = json.loads(page, parse_float=Decimal, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise PageRefused(f"the page is not well-formed JSON: {error}") from error
    if isinstance(root, list):
        raise PageRefused("the page is a JSON array, not a fleet")
    inner = root.get("fleet") or root.get("Fleet")
    fleet = inner if isinstance(inner, dict) else root
    if "equipment" in {key.lower() for key in fleet}:
        return _of_value("fleet", fleet, 0)
    # A time series: {"cumulativeOperatingHoursMessages": {…}}.
    if len(root) == 1:
        ((name, content),) = root.items()
        return _of_value(name, content, 0)
    raise PageRefused("the page is a JSON object without equipment, not a fleet")


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _of_value(name: str, value: Any, depth: int) -> Node:
    _check_depth(depth)
    if not isinstance(value, dict):
        return Node(name, name.lower(), _text_of(value), [])
    node = Node(name, name.lower(), "", [])
    unspecified = {
        key.lower().removesuffix(_FLAG)
        for key, flag in value.items()
        if key.lower().endswith(_FLAG) and flag is False
    }
    for key, item in value.items():
        part = key.lower()
        if part == _TEXT:
            node.text = _text_of(item)
        elif item is not None and not part.endswith(_FLAG) and part not in unspecified:
            items = item if isinstance(item, list) else [item]
            node.children += (_of_value(key, one, depth + 1) for one in items if one is not None)
    return node


def _text_of(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if isinstance(value, list | dict) else str(value).strip()


def _check_depth(depth: int) -> None:
    if depth > DEPTH_MAX:
        raise PageRefused(f"the page is more than {DEPTH_MAX} levels deep")
