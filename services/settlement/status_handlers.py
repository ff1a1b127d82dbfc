"""Status reports: what a rail says of the payments that it was given, in one transaction."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.kit.ids import new_id
from services.kit.principals import principal
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.settlement import payment_store as payments
from services.settlement import status_store as store
from services.settlement.errors import StatusReportMalformed
from services.settlement.pain002 import read_pain002, write_pain002
from services.settlement.payment_handlers import get_payment
from services.settlement.payment_model import Payment, PaymentState, Rail
from services.settlement.payment_moves import CURRENCY, Step, conclude, conclude_all
from services.settlement.rails import NoticeKind
from services.settlement.status_model import (
    COMMANDS,
    Outcome,
    PaymentStatus,
    Reason,
    Report,
    ReportedStatus,
    StatusCode,
    outcome_of,
)
from services.settlement.status_store import SentFile

SIMULATOR = "SIMULATOR of an e-CNY operator"
SIMULATED_ID_DIGITS = 28  # of the payment's: a message id has at most 35 characters


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a report.

    Attributes:
        is_duplicate: Whether it was taken in before.
    """

    report: Report
    statuses: Sequence[PaymentStatus]
    is_duplicate: bool


async def import_report(tx: Transaction, report: Report, *, xml: str) -> Taken:
    """Take in the bank's answer to a pain.001 file, whole or not at all.

    Raises:
        StatusReportMalformed: Its totals are not those of the file that it answers, or another
            report has its message id.
        TransferRefused: The ledger refuses what a status asks for.
    """
    return await take_in(tx, report, xml=xml, rail=Rail.BANK)


async def on_rail_notice(tx: Transaction, timer: Timer) -> None:
    """Take in what the simulated rail says; what it says twice or too late changes nothing."""
    payment = await get_payment(tx, UUID(timer.payload["payment"]), viewer=principal())
    kind = NoticeKind(timer.payload["kind"])
    reason = Reason(timer.payload["code"], timer.payload["text"])
    if kind is NoticeKind.RETURNED:  # no status of an instruction, but money that comes back
        await conclude(tx, payment, "return", reason=reason.words)
        return
    said = ReportedStatus(1, payment.end_to_end_id, StatusCode(kind), reason, payment.amount)
    xml = write_pain002(
        [said],
        message_id=f"SIM{payment.end_to_end_id[:SIMULATED_ID_DIGITS]}-{timer.payload['place']}",
        original_file=payment.end_to_end_id,
        at=tx.now,
        sender=SIMULATOR,
        currency=CURRENCY,
    )
    report = read_pain002(xml, currency=CURRENCY)
    await take_in(tx, report, xml=xml, rail=Rail.ECNY_SIMULATOR)


async def take_in(tx: Transaction, report: Report, *, xml: str, rail: Rail) -> Taken:
    """Take in the answer of a rail: of the bank to a file, of the simulator to one payment.

    Raises:
        StatusReportMalformed, TransferRefused: As above.
    """
    digest = hashlib.sha256(xml.encode()).digest()
    if not await store.insert_report(
        tx.connection,
        report.id,
        digest=digest,
        original_file=report.original_file,
        xml=xml,
        at=tx.now,
    ):
        if await store.find_digest(tx.connection, report.id) != digest:
            raise StatusReportMalformed(1, "MsgId", f"{report.id} is that of another report")
        return Taken(report, await store.list_statuses_of(tx.connection, report.id), True)
    file = await store.find_file(tx.connection, report.original_file)
    if rail is Rail.BANK and file is not None:
        _check_original(report, file)
    said, meant = await _said(tx, report)
    if rail is Rail.BANK and file is not None:
        _check_sums(report, said, meant)
    taken = [_status(tx, report, one, meant.get(one.end_to_end_id), rail) for one in said]
    await _apply(tx, taken, meant)
    await store.insert_statuses(tx.connection, taken)
    return Taken(report, taken, False)


async def _said(
    tx: Transaction, report: Report
) -> tuple[Sequence[ReportedStatus], dict[str, Payment]]:
    """Return the status of each transaction, also of those that only their group speaks of."""
    if report.statuses:
        references = [status.end_to_end_id for status in report.statuses]
        meant = await payments.lock_payments_by_reference(tx.connection, references)
        return report.statuses, meant
    assert report.group is not None
    carried = await store.lock_payments_of_file(tx.connection, report.original_file)
    line, code, reason = report.original.line, report.group, report.group_reason
    said = [ReportedStatus(line, one.end_to_end_id, code, reason) for one in carried]
    unknown = [ReportedStatus(line, "", code, reason)]
    return said or unknown, {one.end_to_end_id: one for one in carried}


def _check_original(report: Report, file: SentFile) -> None:
    """Check what a report says of the file that it answers."""
    listed = {status.code for status in report.statuses}
    # Where every status is listed, the report may be of some of the file's payments only.
    is_of_all = any(total.code not in listed for total in report.totals)
    counted = sum(total.count for total in report.totals)
    for element, said, held in (
        ("OrgnlNbOfTxs", report.original.count, file.payment_count),
        ("OrgnlCtrlSum", report.original.sum_fen, file.control_sum),
        ("NbOfTxsPerSts", counted if is_of_all else None, file.payment_count),
    ):
        if said is not None and said != held:
            raise StatusReportMalformed(
                report.original.line,
                element,
                f"says {said}, the file {report.original_file} holds {held}",
            )


def _check_sums(report: Report, said: Sequence[ReportedStatus], meant: dict[str, Payment]) -> None:
    """Check the sums by status against our own amounts, where all transactions are known."""
    if len(said) != len(meant):
        return
    sums: Counter[str] = Counter()
    for status in said:
        sums[status.code] += meant[status.end_to_end_id].amount
    for total in report.totals:
        if total.sum_fen is not None and total.code in sums and sums[total.code] != total.sum_fen:
            raise StatusReportMalformed(
                total.line,
                "DtldCtrlSum",
                f"says {total.sum_fen} fen of {total.code}, the payments {sums[total.code]} fen",
            )


def _status(
    tx: Transaction, report: Report, said: ReportedStatus, payment: Payment | None, rail: Rail
) -> PaymentStatus:
    """Return a status as it is kept, with what comes of it."""
    if payment is not None and payment.rail is not rail:
        payment = None  # not this rail's to speak of
    problem = _problem(report, said, payment, rail)
    outcome = Outcome.UNMATCHED
    if payment is not None and not problem:
        outcome, problem = outcome_of(said.code, payment.state)
    reason = said.reason if said.reason.code else report.group_reason
    return PaymentStatus(
        new_id(),
        report.id,
        report.original_file,
        said.end_to_end_id,
        said.code,
        reason.code,
        reason.text,
        outcome,
        problem,
        None if payment is None else payment.id,
        rail is not Rail.BANK,
        tx.now,
    )


def _problem(report: Report, said: ReportedStatus, payment: Payment | None, rail: Rail) -> str:
    """Return why a status fits no payment, or "" where it fits one."""
    if payment is None:
        return "no payment of ours has this end-to-end id"
    carrier = payment.file if rail is Rail.BANK else payment.end_to_end_id
    if carrier != report.original_file:
        return f"the payment is not of the file {report.original_file}"
    if said.amount_fen not in (None, payment.amount):
        return f"the amount is {said.amount_fen} fen, the payment is of {payment.amount} fen"
    return ""


async def _apply(
    tx: Transaction, taken: Sequence[PaymentStatus], meant: dict[str, Payment]
) -> None:
    """Note what fits on its payments, and move those that it settles or fails."""
    fitting = [one for one in taken if one.outcome is not Outcome.UNMATCHED]
    moving = [one for one in fitting if one.outcome is Outcome.APPLIED]
    await conclude_all(
        tx,
        [
            Step(
                meant[one.end_to_end_id],
                COMMANDS[one.code],
                Reason(one.reason_code, one.reason).words if one.code is StatusCode.RJCT else "",
            )
            for one in moving
        ],
    )
    # What is told late, of one that has ended since, is kept and not shown as where it stands.
    under_way = [one for one in fitting if meant[one.end_to_end_id].state is PaymentState.SUBMITTED]
    await store.note_statuses(
        tx.connection,
        [one.payment for one in under_way if one.payment is not None],
        [one.code for one in under_way],
        [one.reason_code for one in under_way],
        at=tx.now,
    )
