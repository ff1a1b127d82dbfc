"""Bank statements in ISO 20022 camt.053.001.08, checked against structure and totals.

What is read is what reconciliation needs; other elements of the schema may stand beside it. The
first rule that is broken is told with its line and element, and nothing is taken in.
"""

from datetime import date

from lxml import etree

from services.settlement.errors import StatementMalformed
from services.settlement.iso20022 import (
    REFERENCE_MAX,
    TEXT_MAX,
    FileBroken,
    all_of,
    amount_fen,
    broken,
    child,
    fen_of,
    optional,
    optional_text,
    read_root,
    text,
)
from services.settlement.payment_model import Statement, StatementEntry

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
ENTRIES_MAX = 1_000  # one transaction; a longer statement comes in pages


def read_camt053(xml: str, *, currency: str) -> Statement:
    """Return the statement that a file holds.

    Raises:
        StatementMalformed: It is not well-formed, lacks an element, holds a wrong value, or its
            totals do not add up.
    """
    try:
        return _statement(
            child(child(read_root(xml, NAMESPACE), "BkToCstmrStmt"), "Stmt"), currency
        )
    except FileBroken as flaw:
        raise StatementMalformed(flaw.line, flaw.element, flaw.problem) from flaw


def _statement(statement: "etree._Element", currency: str) -> Statement:
    account = text(statement, "Acct/Id/Othr/Id", REFERENCE_MAX)
    entries = [_entry(element, currency) for element in all_of(statement, "Ntry")]
    if len(entries) > ENTRIES_MAX:
        raise broken(statement, f"holds more than {ENTRIES_MAX:,} Ntry")
    _check_references(statement, entries)
    _check_balances(statement, entries, currency)
    _check_summary(statement, entries)
    return Statement(text(statement, "Id", REFERENCE_MAX), account, currency, tuple(entries))


def _entry(element: "etree._Element", currency: str) -> StatementEntry:
    details = optional(element, "NtryDtls/TxDtls")
    many = len(all_of(element, "NtryDtls/TxDtls"))
    if many > 1:
        raise broken(
            element, f"holds {many} TxDtls; a batch is booked line by line here", named="NtryDtls"
        )
    day = child(element, "BookgDt/Dt")
    try:
        booked_on = date.fromisoformat((day.text or "").strip())
    except ValueError as error:
        raise broken(day, "must be a date like 2026-07-01") from error
    if text(element, "Sts/Cd", 4) != "BOOK":
        raise broken(element, "only booked entries (BOOK) are taken in", named="Sts")
    return StatementEntry(
        reference=text(element, "AcctSvcrRef", REFERENCE_MAX),
        amount_fen=amount_fen(child(element, "Amt"), currency),
        is_credit=_is_credit(element),
        is_return=details is not None and optional(details, "RtrInf") is not None,
        end_to_end_id=optional_text(details, "Refs/EndToEndId", REFERENCE_MAX),
        creditor_reference=optional_text(details, "RmtInf/Strd/CdtrRefInf/Ref", REFERENCE_MAX),
        remittance=optional_text(details, "RmtInf/Ustrd", TEXT_MAX),
        booking_date=booked_on,
    )


def _check_references(statement: "etree._Element", entries: list[StatementEntry]) -> None:
    seen: set[str] = set()
    for element, entry in zip(all_of(statement, "Ntry"), entries, strict=True):
        if entry.reference in seen:
            raise broken(
                element, f"{entry.reference} stands twice in the statement", named="AcctSvcrRef"
            )
        seen.add(entry.reference)


def _check_balances(
    statement: "etree._Element", entries: list[StatementEntry], currency: str
) -> None:
    """Check that the opening balance and the entries make the closing balance."""
    balances: dict[str, int] = {}
    closing = None
    for element in all_of(statement, "Bal"):
        code = text(element, "Tp/CdOrPrtry/Cd", 4)
        sign = 1 if _is_credit(element) else -1
        balances[code] = sign * amount_fen(child(element, "Amt"), currency, zero_fits=True)
        closing = element if code == "CLBD" else closing
    for code in ("OPBD", "CLBD"):
        if code not in balances:
            raise broken(statement, f"the balance {code} is missing", named="Bal")
    assert closing is not None
    moved = sum(entry.amount_fen if entry.is_credit else -entry.amount_fen for entry in entries)
    if balances["OPBD"] + moved != balances["CLBD"]:
        raise broken(
            closing,
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
        group = optional(statement, path)
        if group is None:
            continue
        number, total = optional(group, "NbOfNtries"), optional(group, "Sum")
        if number is not None and (number.text or "").strip() != str(len(counted)):
            raise broken(number, f"says {number.text}, there are {len(counted)}")
        if total is not None and fen_of(total) != sum(entry.amount_fen for entry in counted):
            raise broken(total, f"says {total.text}, the entries do not")


def _is_credit(element: "etree._Element") -> bool:
    indicator = child(element, "CdtDbtInd")
    if indicator.text not in ("CRDT", "DBIT"):
        raise broken(indicator, "must be CRDT or DBIT")
    return indicator.text == "CRDT"
