"""The bank's answer to a pain.001 file: an ISO 20022 pain.002.001.10 status report.

What is read is what moves payments; other elements of the schema may stand beside it. The first
rule that is broken is told with its line and element, and nothing is taken in.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from lxml import etree

from services.settlement import pain001
from services.settlement.errors import StatusReportMalformed
from services.settlement.iso20022 import (
    REFERENCE_MAX,
    FileBroken,
    all_of,
    amount_fen,
    broken,
    child,
    count_of,
    fen_of,
    line_of,
    optional,
    optional_text,
    read_root,
    text,
)
from services.settlement.pain001 import amount_of, fill, group
from services.settlement.status_model import (
    ACCEPTED,
    PARTIAL,
    OriginalTotals,
    Reason,
    Report,
    ReportedStatus,
    StatusCode,
    StatusTotal,
)

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.10"
STATUSES_MAX = pain001.FILE_PAYMENTS_MAX
REASON_TEXT_MAX = 105  # Max105Text
ISO_CODE_LENGTH = 4  # of the external codes; a longer one is a rail's own
ANSWERED = pain001.NAMESPACE.rpartition(":")[2]
_CODES = frozenset(StatusCode)


def read_pain002(xml: str, *, currency: str) -> Report:
    """Return the report that a file holds.

    Raises:
        StatusReportMalformed: It is not well-formed, lacks an element, holds a wrong value,
            contradicts itself, or its totals do not add up.
    """
    try:
        return _report(child(read_root(xml, NAMESPACE), "CstmrPmtStsRpt"), currency)
    except FileBroken as flaw:
        raise StatusReportMalformed(flaw.line, flaw.element, flaw.problem) from flaw


def _report(root: "etree._Element", currency: str) -> Report:
    original = child(root, "OrgnlGrpInfAndSts")
    kind = child(original, "OrgnlMsgNmId")
    if (kind.text or "").strip() not in (ANSWERED, "pain.001"):
        raise broken(kind, f"must be {ANSWERED}: only answers to payments are taken in")
    blocks = all_of(root, "OrgnlPmtInfAndSts")
    for name in ("PmtInfSts", "NbOfTxsPerSts", "StsRsnInf"):
        for block in blocks:
            if all_of(block, name):
                raise broken(
                    block, "statuses are those of the group or of transactions", named=name
                )
    status = optional_text(original, "GrpSts", 4)
    if status not in ("", PARTIAL) and status not in _CODES:
        raise broken(child(original, "GrpSts"), f"is {status}; known are {_known(PARTIAL)}")
    whole = StatusCode(status) if status in _CODES else None
    report = Report(
        id=text(root, "GrpHdr/MsgId", REFERENCE_MAX),
        original_file=text(original, "OrgnlMsgId", REFERENCE_MAX),
        original=_original_totals(original),
        group=whole,
        group_reason=_reason(original),
        is_partial=status == PARTIAL,
        statuses=tuple(
            _status(element, whole, currency)
            for block in blocks
            for element in all_of(block, "TxInfAndSts")
        ),
        totals=tuple(_total(element) for element in all_of(original, "NbOfTxsPerSts")),
    )
    _check_statuses(original, report)
    _check_totals(original, report)
    return report


def _original_totals(original: "etree._Element") -> OriginalTotals:
    number, total = optional(original, "OrgnlNbOfTxs"), optional(original, "OrgnlCtrlSum")
    stated = number if number is not None else total
    return OriginalTotals(
        line_of(original if stated is None else stated),
        None if number is None else count_of(number),
        None if total is None else fen_of(total),
    )


def _status(element: "etree._Element", whole: StatusCode | None, currency: str) -> ReportedStatus:
    """Return the status of a transaction; one that has none of its own has its group's."""
    said = optional(element, "TxSts")
    if said is None and whole is None:
        raise broken(element, "must hold one TxSts, since the group has no status of its own")
    code = whole if said is None else _code(said)
    assert code is not None
    amount = optional(element, "OrgnlTxRef/Amt/InstdAmt")
    return ReportedStatus(
        line=line_of(element),
        end_to_end_id=text(element, "OrgnlEndToEndId", REFERENCE_MAX),
        code=code,
        reason=_reason(element),
        amount_fen=None if amount is None else amount_fen(amount, currency),
    )


def _reason(parent: "etree._Element") -> Reason:
    """Return the reason that a status names: its first code, and all its words."""
    given = all_of(parent, "StsRsnInf")
    codes = [
        optional_text(one, "Rsn/Cd", 4) or optional_text(one, "Rsn/Prtry", REFERENCE_MAX)
        for one in given
    ]
    words = [
        (each.text or "").strip()[:REASON_TEXT_MAX]
        for one in given
        for each in all_of(one, "AddtlInf")
    ]
    return Reason(next(filter(None, codes), ""), " ".join(filter(None, words)))


def _total(element: "etree._Element") -> StatusTotal:
    total = optional(element, "DtldCtrlSum")
    return StatusTotal(
        line_of(element),
        _code(child(element, "DtldSts")),
        count_of(child(element, "DtldNbOfTxs")),
        None if total is None else fen_of(total),
    )


def _check_statuses(original: "etree._Element", report: Report) -> None:
    """Check that the group and its transactions do not contradict each other."""
    if len(report.statuses) > STATUSES_MAX:
        raise broken(original, f"holds more than {STATUSES_MAX:,} TxInfAndSts", named="TxInfAndSts")
    if not report.statuses and report.group is None:
        raise broken(original, "must hold a GrpSts, or the report a TxInfAndSts", named="GrpSts")
    seen: set[str] = set()
    for status in report.statuses:
        flaw = _flaw(report, status)
        if status.end_to_end_id in seen:
            flaw = "OrgnlEndToEndId", f"{status.end_to_end_id} stands twice in the report"
        if flaw is not None:
            raise FileBroken(status.line, *flaw)
        seen.add(status.end_to_end_id)
    if report.group is StatusCode.RJCT and not report.statuses and not report.group_reason.code:
        raise broken(original, "a rejection names its reason", named="StsRsnInf")


def _flaw(report: Report, status: ReportedStatus) -> tuple[str, str] | None:
    """Return what in a transaction contradicts its group: element and rule; or None."""
    is_rejected = status.code is StatusCode.RJCT
    if report.group is StatusCode.RJCT and not is_rejected:
        return "TxSts", f"is {status.code} in a group that is RJCT"
    if is_rejected and report.group in ACCEPTED | {StatusCode.PDNG}:
        return "TxSts", f"is RJCT in a group that is {report.group}; such a group is {PARTIAL}"
    if report.group is StatusCode.RCVD and status.code is not StatusCode.RCVD:
        return "TxSts", f"is {status.code} in a group that is only RCVD"
    if is_rejected and not (status.reason.code or report.group_reason.code):
        return "StsRsnInf", "a rejection names its reason"
    return None


def _check_totals(original: "etree._Element", report: Report) -> None:
    """Check the counts and sums by status against the transactions, and against the original's."""
    listed = Counter(status.code for status in report.statuses)
    if len({total.code for total in report.totals}) != len(report.totals):
        raise broken(original, "has a status twice", named="NbOfTxsPerSts")
    for total in report.totals:
        if listed[total.code] and listed[total.code] != total.count:
            raise FileBroken(
                total.line,
                "DtldNbOfTxs",
                f"says {total.count} of {total.code}, there are {listed[total.code]}",
            )
        amounts = [one.amount_fen for one in report.statuses if one.code is total.code]
        known = [fen for fen in amounts if fen is not None]
        is_whole = listed[total.code] and len(known) == len(amounts)
        if total.sum_fen is not None and is_whole and sum(known) != total.sum_fen:
            raise FileBroken(
                total.line,
                "DtldCtrlSum",
                f"says {total.sum_fen} fen of {total.code}, the transactions {sum(known)} fen",
            )
    counted = sum(total.count for total in report.totals)
    if report.totals and report.original.count not in (None, counted):
        raise FileBroken(
            report.totals[0].line,
            "NbOfTxsPerSts",
            f"count {counted} transactions, OrgnlNbOfTxs {report.original.count}",
        )
    if report.original.count is not None and len(report.statuses) > report.original.count:
        raise FileBroken(
            report.original.line,
            "OrgnlNbOfTxs",
            f"says {report.original.count}, there are {len(report.statuses)} TxInfAndSts",
        )


def _code(element: "etree._Element") -> StatusCode:
    written = (element.text or "").strip()
    if written not in _CODES:
        raise broken(element, f"is {written[:REFERENCE_MAX]}; known are {_known()}")
    return StatusCode(written)


def _known(*more: str) -> str:
    return ", ".join((*StatusCode, *more))


def write_pain002(
    statuses: Sequence[ReportedStatus],
    *,
    message_id: str,
    original_file: str,
    at: datetime,
    sender: str,
    currency: str,
) -> str:
    """Return a report as a bank writes it, for the simulator of a rail and for tests."""
    root = etree.Element("Document", nsmap={None: NAMESPACE})  # type: ignore[dict-item]
    report = etree.SubElement(root, "CstmrPmtStsRpt")
    header = group(report, "GrpHdr", MsgId=message_id, CreDtTm=f"{at:%Y-%m-%dT%H:%M:%SZ}")
    fill(group(header, "InitgPty"), Nm=sender)
    original = group(report, "OrgnlGrpInfAndSts", OrgnlMsgId=original_file, OrgnlMsgNmId=ANSWERED)
    for code, count in Counter(status.code for status in statuses).items():
        fill(group(original, "NbOfTxsPerSts"), DtldNbOfTxs=str(count), DtldSts=code)
    block = group(report, "OrgnlPmtInfAndSts", OrgnlPmtInfId=f"{original_file[:33]}-1")
    for status in statuses:
        transaction = group(block, "TxInfAndSts", OrgnlEndToEndId=status.end_to_end_id)
        fill(transaction, TxSts=status.code)
        if status.reason != Reason():
            _write_reason(group(transaction, "StsRsnInf"), status.reason)
        if status.amount_fen is not None:
            amount = etree.SubElement(
                group(transaction, "OrgnlTxRef", "Amt"), "InstdAmt", Ccy=currency
            )
            amount.text = amount_of(status.amount_fen)
    xml: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True)
    return xml.decode()


def _write_reason(given: "etree._Element", reason: Reason) -> None:
    if reason.code:
        tag = "Cd" if len(reason.code) == ISO_CODE_LENGTH else "Prtry"
        fill(group(given, "Rsn"), **{tag: reason.code})
    if reason.text:
        fill(given, AddtlInf=reason.text[:REASON_TEXT_MAX])
