"""Payments as an ISO 20022 pain.001.001.09 file: made, and checked before it leaves."""

from collections.abc import Sequence
from datetime import date, datetime

from lxml import etree

from services.settlement.payment_model import Payment

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
FILE_PAYMENTS_MAX = 1_000  # what banks take in one file without asking
INITIATOR = "Ironloop"


class Pain001Broken(Exception):
    """A file that was made breaks its own structure or totals; a defect, and it does not leave."""


def write_pain001(
    payments: Sequence[Payment],
    *,
    message_id: str,
    at: datetime,
    execution_on: date,
    debtor_account: str,
    currency: str,
) -> str:
    """Return a file of one payment block with one transaction a payment.

    Raises:
        Pain001Broken: It breaks its own structure or totals; a defect.
    """
    count, total = str(len(payments)), amount_of(sum(payment.amount for payment in payments))
    root = etree.Element("Document", nsmap={None: NAMESPACE})  # type: ignore[dict-item]
    initiation = etree.SubElement(root, "CstmrCdtTrfInitn")
    header = group(initiation, "GrpHdr", MsgId=message_id, CreDtTm=f"{at:%Y-%m-%dT%H:%M:%SZ}")
    fill(header, NbOfTxs=count, CtrlSum=total)
    fill(group(header, "InitgPty"), Nm=INITIATOR)
    block = group(initiation, "PmtInf", PmtInfId=f"{message_id}-1", PmtMtd="TRF")
    fill(block, NbOfTxs=count, CtrlSum=total)
    fill(group(block, "ReqdExctnDt"), Dt=execution_on.isoformat())
    fill(group(block, "Dbtr"), Nm=INITIATOR)
    fill(group(block, "DbtrAcct", "Id", "Othr"), Id=debtor_account)
    fill(group(block, "DbtrAgt", "FinInstnId", "Othr"), Id="NOTPROVIDED")
    for payment in payments:
        _write_payment(block, payment, currency=currency)
    xml = etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True).decode()
    check_pain001(xml, count=len(payments), control_sum_fen=sum(p.amount for p in payments))
    return xml


def check_pain001(xml: str, *, count: int, control_sum_fen: int) -> None:
    """Read a file back and hold it against what it was to say.

    Raises:
        Pain001Broken: An element is missing or twice, or a total differs.
    """
    root = etree.fromstring(xml.encode())
    ids: list[str] = []
    sum_fen = 0
    for transaction in root.iter(f"{{{NAMESPACE}}}CdtTrfTxInf"):
        ids.append(_only(transaction, "PmtId/EndToEndId"))
        sum_fen += _fen(_only(transaction, "Amt/InstdAmt"))
        for path in ("Cdtr/Nm", "CdtrAcct/Id/Othr/Id", "CdtrAgt/FinInstnId/ClrSysMmbId/MmbId"):
            _only(transaction, path)
    if len(set(ids)) != count or len(ids) != count or sum_fen != control_sum_fen:
        raise Pain001Broken(f"{len(ids)} transactions of {sum_fen} fen")
    for group in ("CstmrCdtTrfInitn/GrpHdr", "CstmrCdtTrfInitn/PmtInf"):
        if _only(root, f"{group}/NbOfTxs") != str(count):
            raise Pain001Broken(f"{group}/NbOfTxs is not {count}")
        if _fen(_only(root, f"{group}/CtrlSum")) != control_sum_fen:
            raise Pain001Broken(f"{group}/CtrlSum is not {control_sum_fen} fen")


def _write_payment(block: "etree._Element", payment: Payment, *, currency: str) -> None:
    transaction = group(block, "CdtTrfTxInf")
    fill(
        group(transaction, "PmtId"),
        InstrId=payment.end_to_end_id,
        EndToEndId=payment.end_to_end_id,
    )
    amount = etree.SubElement(group(transaction, "Amt"), "InstdAmt", Ccy=currency)
    amount.text = amount_of(payment.amount)
    fill(group(transaction, "CdtrAgt", "FinInstnId", "ClrSysMmbId"), MmbId=payment.creditor_agent)
    fill(group(transaction, "Cdtr"), Nm=payment.creditor_name)
    fill(group(transaction, "CdtrAcct", "Id", "Othr"), Id=payment.creditor_account)
    if payment.remittance:
        fill(group(transaction, "RmtInf"), Ustrd=payment.remittance)


def group(parent: "etree._Element", *path: str, **leaves: str) -> "etree._Element":
    """Make elements within each other below a parent, and leaves in the last; return that one."""
    for tag in path:
        parent = etree.SubElement(parent, tag)
    fill(parent, **leaves)
    return parent


def fill(parent: "etree._Element", **leaves: str) -> None:
    """Make leaves in an element, in their order."""
    for tag, text in leaves.items():
        etree.SubElement(parent, tag).text = text


def _only(parent: "etree._Element", path: str) -> str:
    steps = "/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/"))
    found = parent.findall(steps)
    if len(found) != 1 or not found[0].text:
        raise Pain001Broken(f"{path} stands {len(found)} times")
    return found[0].text


def amount_of(fen: int) -> str:
    """Return fen as the currency's unit with two decimals."""
    return f"{fen // 100}.{fen % 100:02d}"


def _fen(text: str) -> int:
    units, _, hundredths = text.partition(".")
    return int(units) * 100 + int(hundredths)
