"""ISO 20022 files as they are read: elements by path, each flaw with its line and element.

Paths are of local names; every element of a file is of the root's namespace.
"""

import re

from lxml import etree

from services.settlement.payment_model import PAYMENT_FEN_MAX

TEXT_MAX = 140  # Max140Text
REFERENCE_MAX = 35  # Max35Text
_AMOUNT = re.compile(r"[0-9]{1,13}(\.[0-9]{1,2})?")
_COUNT = re.compile(r"[0-9]{1,15}")  # Max15NumericText


class FileBroken(Exception):
    """A file breaks a rule of structure or totals.

    Attributes:
        line: From 1.
        element: Its local name.
    """

    def __init__(self, line: int, element: str, problem: str) -> None:
        super().__init__(f"line {line}, element {element}: {problem}")
        self.line = line
        self.element = element
        self.problem = problem


def read_root(xml: str, namespace: str) -> "etree._Element":
    """Return the Document of a file.

    Raises:
        FileBroken: It is not well-formed, declares a document type, or is of another namespace.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(xml.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise FileBroken(error.lineno or 1, "Document", f"{error.msg}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise FileBroken(1, "Document", "must not declare a document type")
    if root.tag != f"{{{namespace}}}Document":
        raise broken(root, f"must be Document of {namespace}")
    return root


def broken(element: "etree._Element", problem: str, *, named: str = "") -> FileBroken:
    """Return what says that an element, or one that it should hold, breaks a rule."""
    return FileBroken(line_of(element), named or _name(element), problem)


def child(parent: "etree._Element", path: str) -> "etree._Element":
    """Return the one element at a path.

    Raises:
        FileBroken: A step of the path is missing or there twice.
    """
    for step in path.split("/"):
        found = all_of(parent, step)
        if len(found) != 1:
            raise broken(parent, f"must hold one {step}, not {len(found)}")
        parent = found[0]
    return parent


def optional(parent: "etree._Element", path: str) -> "etree._Element | None":
    """Return the first element at a path, or None."""
    found = all_of(parent, path)
    return found[0] if found else None


def all_of(parent: "etree._Element", path: str) -> "list[etree._Element]":
    """Return all elements at a path, in order."""
    namespace = etree.QName(parent).namespace
    return parent.findall("/".join(f"{{{namespace}}}{step}" for step in path.split("/")))


def text(parent: "etree._Element", path: str, characters_max: int) -> str:
    """Return the text of the one element at a path.

    Raises:
        FileBroken: It is not there, empty or too long.
    """
    return _checked(child(parent, path), characters_max)


def optional_text(parent: "etree._Element | None", path: str, characters_max: int) -> str:
    """Return the text of the first element at a path, or "" where there is none.

    Raises:
        FileBroken: It is there, and empty or too long.
    """
    element = optional(parent, path) if parent is not None else None
    return "" if element is None else _checked(element, characters_max)


def amount_fen(element: "etree._Element", currency: str, *, zero_fits: bool = False) -> int:
    """Return an amount with its currency.

    Raises:
        FileBroken: It is of another currency, or not within bounds.
    """
    if element.get("Ccy") != currency:
        raise broken(element, f"must be in {currency}, not {element.get('Ccy')}")
    fen = fen_of(element)
    if fen > PAYMENT_FEN_MAX or (fen == 0 and not zero_fits):
        raise broken(element, f"must be above 0 and at most {PAYMENT_FEN_MAX:,} fen")
    return fen


def fen_of(element: "etree._Element") -> int:
    """Return a decimal number of the currency's unit, in fen.

    Raises:
        FileBroken: It is no such number.
    """
    written = (element.text or "").strip()
    if not _AMOUNT.fullmatch(written):
        raise broken(element, "must be an amount with at most two decimals")
    units, _, hundredths = written.partition(".")
    return int(units) * 100 + int(hundredths.ljust(2, "0"))


def count_of(element: "etree._Element") -> int:
    """Return a number of items.

    Raises:
        FileBroken: It is none.
    """
    written = (element.text or "").strip()
    if not _COUNT.fullmatch(written):
        raise broken(element, "must be a number of at most 15 digits")
    return int(written)


def line_of(element: "etree._Element") -> int:
    """Return the line on which an element begins, from 1."""
    line = element.sourceline
    return line if isinstance(line, int) else 1


def _checked(element: "etree._Element", characters_max: int) -> str:
    written = (element.text or "").strip()
    if not 1 <= len(written) <= characters_max:
        raise broken(element, f"must hold 1 to {characters_max} characters")
    return written


def _name(element: "etree._Element") -> str:
    return etree.QName(element).localname
