"""Bank statements in ISO 20022 camt.053.001.08, checked against structure and totals.

What is read is what reconciliation needs; other elements of the schema may stand beside it. The
first rule that is broken is told with its line and element, and nothing is taken in.
"""

import re
from datetime import date

from lxml import etree

from services.settlement.errors import StatementMalformed
from services.settlement.payment_model import PAYMENT_FEN_MAX, Statement, StatementEntry

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
ENTRIES_MAX = 1_000  # one transaction; a longer statement comes in pages
TEXT_MAX = 140
REFERENCE_MAX = 35  # ISO 20022's Max35Text

_AMOUNT = re.compile(r"[0-9]{1,13}(\.[0-9]{1,2})?")


def read_camt053(xml: str, *, currency: str) -> Statement:
    """Return the statement that a file holds.

    Raises:
        StatementMalformed: It is not well-formed, lacks an element, holds a wrong value, or its
            totals do not add up.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
    try:
        root = etree.fromstring(xml.encode(), parser)
    except etree.XMLSyntaxError as error:
        raise StatementMalformed(error.lineno or 1, "Document", f"{error.msg}") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise StatementMalformed(1, "Document", "must not declare a document type")
    if root.tag != f"{{{NAMESPACE}}}Document":
        raise StatementMalformed(_line(root), _name(root), f"must be Document of {NAMESPACE}")
    statement = _child(_child(root, "BkToCstmrStmt"), "Stmt")
    account = _text(statement, "Acct/Id/Othr/Id", REFERENCE_MAX)
    entries = [_entry(element, currency) for element in _all(statement, "Ntry")]
    if len(entries) > ENTRIES_MAX:
        raise StatementMalformed(_line(statement), "Stmt", f"holds more than {ENTRIES_MAX:,} Ntry")
    _check_references(statement, entries)
    _check_balances(statement, entries, currency)
    _check_summary(statement, entries)
    return Statement(_text(statement, "Id", REFERENCE_MAX), account, currency, tuple(entries))


def _entry(element: "etree._Element", currency: str) -> StatementEntry:
    details = _optional(element, "NtryDtls/TxDtls")
    many = len(_all(element, "NtryDtls/TxDtls"))
    if many > 1:
        raise StatementMalformed(
            _line(element), "NtryDtls", f"holds {many} TxDtls; a batch is booked line by line here"
        )
    day = _child(element, "BookgDt/Dt")
    try:
        booked_on = date.fromisoformat((day.text or "").strip())
    except ValueError as error:
        raise StatementMalformed(_line(day), "Dt", "must be a date like 2026-07-01") from error
    if _text(element, "Sts/Cd", 4) != "BOOK":
        raise StatementMalformed(_line(element), "Sts", "only booked entries (BOOK) are taken in")
    return StatementEntry(
        reference=_text(element, "AcctSvcrRef", REFERENCE_MAX),
        amount_fen=_amount(_child(element, "Amt"), currency),
        is_credit=_is_credit(element),
        is_return=details is not None and _optional(details, "RtrInf") is not None,
        end_to_end_id=_detail(details, "Refs/EndToEndId", REFERENCE_MAX),
        creditor_reference=_detail(details, "RmtInf/Strd/CdtrRefInf/Ref", REFERENCE_MAX),
        remittance=_detail(details, "RmtInf/Ustrd", TEXT_MAX),
        booking_date=booked_on,
    )


def _check_references(statement: "etree._Element", entries: list[StatementEntry]) -> None:
    seen: set[str] = set()
    for element, entry in zip(_all(statement, "Ntry"), entries, strict=True):
        if entry.reference in seen:
            raise StatementMalformed(
                _line(element), "AcctSvcrRef", f"{entry.reference} stands twice in the statement"
            )
        seen.add(entry.reference)


def _check_balances(
    statement: "etree._Element", entries: list[StatementEntry], currency: str
) -> None:
    """Check that the opening balance and the entries make the closing balance."""
    balances: dict[str, int] = {}
    closing = None
    for element in _all(statement, "Bal"):
        code = _text(element, "Tp/CdOrPrtry/Cd", 4)
        sign = 1 if _is_credit(element) else -1
        balances[code] = sign * _amount(_child(element, "Amt"), currency, zero_fits=True)
        closing = element if code == "CLBD" else closing
    for code in ("OPBD", "CLBD"):
        if code not in balances:
            raise StatementMalformed(_line(statement), "Bal", f"the balance {code} is missing")
    assert closing is not None
    moved = sum(entry.amount_fen if entry.is_credit else -entry.amount_fen for entry in entries)
    if balances["OPBD"] + moved != balances["CLBD"]:
        raise StatementMalformed(
            _line(closing),
            "Bal",
            f"opening {balances['OPBD']} fen and entries of {moved} fen make "
            f"{balances['OPBD'] + moved} fen, not {balances['CLBD']} fen",
        )


def _check_summary(statement: "etree._Element", entries: list[StatementEntry]) -> None:
    """Check the counts and sums that the bank states, where it states them."""
    for path, counted in (
        ("TxsSummry/TtlNtries", entries),
        ("TxsSummry/TtlCdtNtries", [entry for entry in entries if entry.is_credit]),
        ("TxsSummry/TtlDbtNtries", [entry for entry in entries if not entry.is_credit]),
    ):
        group = _optional(statement, path)
        if group is None:
            continue
        number, total = _optional(group, "NbOfNtries"), _optional(group, "Sum")
        if number is not None and (number.text or "").strip() != str(len(counted)):
            raise StatementMalformed(
                _line(number), "NbOfNtries", f"says {number.text}, there are {len(counted)}"
            )
        if total is not None and _fen(total) != sum(entry.amount_fen for entry in counted):
            raise StatementMalformed(_line(total), "Sum", f"says {total.text}, the entries do not")


def _amount(element: "etree._Element", currency: str, *, zero_fits: bool = False) -> int:
    if element.get("Ccy") != currency:
        raise StatementMalformed(
            _line(element), "Amt", f"must be in {currency}, not {element.get('Ccy')}"
        )
    fen = _fen(element)
    if fen > PAYMENT_FEN_MAX or (fen == 0 and not zero_fits):
        raise StatementMalformed(
            _line(element), "Amt", f"must be above 0 and at most {PAYMENT_FEN_MAX:,} fen"
        )
    return fen


def _fen(element: "etree._Element") -> int:
    text = (element.text or "").strip()
    if not _AMOUNT.fullmatch(text):
        raise StatementMalformed(
            _line(element), _name(element), "must be an amount with at most two decimals"
        )
    units, _, hundredths = text.partition(".")
    return int(units) * 100 + int(hundredths.ljust(2, "0"))


def _is_credit(element: "etree._Element") -> bool:
    indicator = _child(element, "CdtDbtInd")
    if indicator.text not in ("CRDT", "DBIT"):
        raise StatementMalformed(_line(indicator), "CdtDbtInd", "must be CRDT or DBIT")
    return indicator.text == "CRDT"


def _child(parent: "etree._Element", path: str) -> "etree._Element":
    for step in path.split("/"):
        found = _all(parent, step)
        if len(found) != 1:
            raise StatementMalformed(
                _line(parent), _name(parent), f"must hold one {step}, not {len(found)}"
            )
        parent = found[0]
    return parent


def _optional(parent: "etree._Element", path: str) -> "etree._Element | None":
    found = _all(parent, path)
    return found[0] if found else None


def _all(parent: "etree._Element", path: str) -> "list[etree._Element]":
    return parent.findall("/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/")))


def _text(parent: "etree._Element", path: str, characters_max: int) -> str:
    return _checked(_child(parent, path), characters_max)


def _detail(details: "etree._Element | None", path: str, characters_max: int) -> str:
    element = _optional(details, path) if details is not None else None
    return "" if element is None else _checked(element, characters_max)


def _checked(element: "etree._Element", characters_max: int) -> str:
    text = (element.text or "").strip()
    if not 1 <= len(text) <= characters_max:
        raise StatementMalformed(
            _line(element), _name(element), f"must hold 1 to {characters_max} characters"
        )
    return text


def _line(element: "etree._Element") -> int:
    line = element.sourceline
    return line if isinstance(line, int) else 1


def _name(element: "etree._Element") -> str:
    return etree.QName(element).localname
