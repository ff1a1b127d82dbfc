"""XML and JSON pages as one kind of tree, so that one reader takes every dialect.

A page is a tree of the ElementTree kind: lxml makes one of XML, and JSON becomes one here. Names
are compared in lower case without namespace; an attribute counts as a part like any other, because
dialects put the same value (dateTime above all) now in the one and now in the other place.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any, BinaryIO, Protocol, cast
from xml.etree import ElementTree

from lxml import etree

from services.iso15143.errors import PageRefused

PAGE_BYTES_MAX = 16 * 1024 * 1024  # a page of 100 machines is about 200 kB
NODES_MAX = 1_000_000  # 10,000 machines of 100 values; each takes about 300 bytes here
CHUNK_BYTES = 256 * 1024
DEPTH_MAX = 20  # a page has four levels
NAMES_REMEMBERED_MAX = 1_000  # names: a page says the same fifty over and over

Texts = dict[str, str]  # the text of each part of a node by the part's name

_FLAG = "specified"  # in JSON: "altitudeSpecified": false means that "altitude" says nothing
_TEXT = "#text"  # in JSON: the text of an object that has parts too
# Attributes that say nothing of a machine, by their namespace, or by their prefix where a page
# does not declare it.
_ABOUT_XML = (
    "{http://www.w3.org/2001/XMLSchema-instance}",
    "{http://www.w3.org/XML/1998/namespace}",
    "xsi:",
)
_ENCODING = re.compile(rb"""\s*<\?xml[^>]{0,100}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_UTF_8 = "utf-8"
_UTF_8_MARK = b"\xef\xbb\xbf"
# How a page of two bytes a character begins: with its mark, or at once with "<".
_UTF_16 = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"<\0": "utf-16-le", b"\0<": "utf-16-be"}
# What may stand before a document type: marks, white space, comments, the XML declaration and its
# like. None of it is looked at twice, however long it is.
_DOCUMENT_TYPE = re.compile(
    rb"(?>\s+|" + _UTF_8_MARK + rb"|<\?.*?\?>|<!--.*?-->)*+<!DOCTYPE", re.DOTALL
)
_TOO_DEEP = etree.XPath(f"boolean({'/*' * (DEPTH_MAX + 2)})")


class Node(Protocol):
    """A named value with named parts: what elements of lxml and of ElementTree have in common."""

    @property
    def tag(self) -> str:
        """Its name in its own case, with its namespace or prefix."""

    @property
    def text(self) -> str | None:
        """Its text up to its first part."""

    @property
    def tail(self) -> str | None:
        """The text between it and the next part of the same node."""

    def items(self) -> Iterable[tuple[str, str]]:
        """Return its attributes."""

    def __iter__(self) -> Iterator["Node"]:
        """Iterate over its parts but its attributes."""

    def __len__(self) -> int:
        """Return how many parts it has but its attributes."""


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
    start = page[:256].removeprefix(_UTF_8_MARK).lstrip()[:1]
    return _parse_json(page) if start in {b"{", b"["} else _parse_xml(page)


@lru_cache(maxsize=NAMES_REMEMBERED_MAX)
def name_of(tag: str) -> str:
    """Return by which name a tag is known: without namespace, in lower case."""
    return own_name(tag).lower()


def own_name(tag: str) -> str:
    """Return a tag without its namespace, or without its prefix where that is not declared."""
    return tag.rpartition("}")[2].rpartition(":")[2]


def text_of(node: Node) -> str:
    """Return a node's own text, that between its parts included."""
    text = node.text or ""
    if len(node):
        text += "".join(part.tail or "" for part in node)
    return text.strip()


def texts_of(node: Node) -> Texts:
    """Return the text of each part by its name; of several with one name, the first one's."""
    texts: Texts = {}
    for tag, text in node.items():
        if not tag.startswith(_ABOUT_XML):
            texts.setdefault(name_of(tag), text.strip())
    for part in node:
        name = name_of(part.tag)
        if name not in texts:
            texts[name] = text_of(part)
    return texts


def parts_of(node: Node, *, but: Collection[str] = ()) -> Iterator[tuple[str, str, Node | None]]:
    """Yield each part's own name, its text and, where it is no attribute, the part itself.

    Args:
        but: The names of parts that are not wanted.
    """
    for tag, text in node.items():
        if name_of(tag) not in but and not tag.startswith(_ABOUT_XML):
            yield own_name(tag), text.strip(), None
    for part in node:
        if name_of(part.tag) not in but:
            yield own_name(part.tag), text_of(part), part


def _parse_xml(page: bytes) -> Node:
    """Return the root of an XML page.

    Entities and document types are of no use in a page; both have been used to read files and to
    fill memory. A page that has them, or too many elements, is refused before it is parsed.
    """
    page = _in_utf_8(page)
    if _DOCUMENT_TYPE.match(page):
        raise PageRefused("the page holds a document type, which no fleet page needs")
    marks = page.count(b"<") + page.count(b"=")
    if marks > NODES_MAX and marks - page.count(b"</") > NODES_MAX:
        raise PageRefused(f"the page holds more than {NODES_MAX:,} elements")
    parser = etree.XMLParser(
        encoding=_UTF_8,
        recover=True,  # from undeclared prefixes, see below
        resolve_entities=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
        remove_blank_text=True,
    )
    try:
        root = etree.fromstring(page, parser)
    except etree.XMLSyntaxError as error:
        raise PageRefused(f"the page is not well-formed XML: {error.msg}") from error
    # Some senders use prefixes that they do not declare, and all is clear without.
    for entry in parser.error_log.filter_from_errors():
        if entry.domain != etree.ErrorDomains.NAMESPACE:
            where = f"line {entry.line}, column {entry.column}"
            raise PageRefused(f"the page is not well-formed XML: {entry.message}, {where}")
    if _TOO_DEEP(root):
        _refuse_depth()
    return cast(Node, root)


def _in_utf_8(page: bytes) -> bytes:
    """Return an XML page, which may be in any encoding that it states, in UTF-8."""
    page = page.removeprefix(_UTF_8_MARK)
    stated = _ENCODING.match(page[:256])
    encoding = _UTF_16.get(page[:2]) or (stated.group(1).decode().lower() if stated else _UTF_8)
    if encoding == _UTF_8:
        return page  # the parser looks at each character anyway
    try:
        return page.decode(encoding).encode()
    except (LookupError, UnicodeError) as error:
        raise PageRefused(f'the page is not in its own encoding "{encoding}"') from error


def _parse_json(page: bytes) -> ElementTree.Element:
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


def _of_value(name: str, value: Any, depth: int) -> ElementTree.Element:
    if depth > DEPTH_MAX:
        _refuse_depth()
    element = ElementTree.Element(name)
    if not isinstance(value, dict):
        element.text = _text_of(value)
        return element
    unspecified = {
        key.lower().removesuffix(_FLAG)
        for key, flag in value.items()
        if key.lower().endswith(_FLAG) and flag is False
    }
    for key, item in value.items():
        part = key.lower()
        if part == _TEXT:
            element.text = _text_of(item)
        elif item is not None and not part.endswith(_FLAG) and part not in unspecified:
            items = item if isinstance(item, list) else [item]
            element.extend([_of_value(key, one, depth + 1) for one in items if one is not None])
    return element


def _text_of(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if isinstance(value, list | dict) else str(value).strip()


def _refuse_depth() -> None:
    raise PageRefused(f"the page is more than {DEPTH_MAX} levels deep")
