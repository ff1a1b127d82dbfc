"""Payments, statuses and lines of bank statements as the contract shows them."""

from collections import Counter
from datetime import date

from ironloop.settlement.v1 import payments_pb2

from services.kit import wire
from services.kit.etags import etag
from services.kit.ids import name
from services.settlement.payment_model import Payment, StatementLine
from services.settlement.payment_moves import CURRENCY
from services.settlement.rails import RAILS
from services.settlement.status_handlers import Taken
from services.settlement.status_model import Outcome, PaymentStatus

REPORTED_MAX = 200  # unmatched ones in one report; all can be listed


def payment_to_wire(payment: Payment) -> payments_pb2.Payment:
    """Return a payment as the contract shows it."""
    return payments_pb2.Payment(
        name=payment.name,
        uid=str(payment.id),
        etag=etag(payment.version),
        event_sequence=payment.event_sequence,
        state=wire.enum_number(payments_pb2.PaymentState, payment.state, prefix="PAYMENT_STATE_"),
        rail=wire.enum_number(payments_pb2.Rail, payment.rail, prefix="RAIL_"),
        account=name("accounts", payment.account),
        party=name("parties", payment.party),
        amount=wire.money(payment.amount, CURRENCY),
        destination=name("accounts", payment.destination) if payment.destination else "",
        creditor_name=payment.creditor_name,
        creditor_account=payment.creditor_account,
        creditor_agent=payment.creditor_agent,
        end_to_end_id=payment.end_to_end_id,
        remittance=payment.remittance,
        maker=payment.maker,
        checker=payment.checker,
        failure=payment.failure,
        is_simulated=RAILS[payment.rail].is_simulator,
        hold_transfer=name("transfers", payment.hold_transfer) if payment.hold_transfer else "",
        file=payment.file or "",
        rail_status=wire.enum_number(
            payments_pb2.PaymentStatusCode,
            payment.rail_status or "UNSPECIFIED",
            prefix="PAYMENT_STATUS_CODE_",
        ),
        rail_reason_code=payment.rail_reason_code,
        ecny_wallet=name("ecnyWallets", payment.ecny_wallet) if payment.ecny_wallet else "",
        purpose=payment.purpose,
        release_event=payment.release_event,
        release_deadline=wire.instant(payment.release_deadline)
        if payment.release_deadline
        else None,
        release_time=wire.instant(payment.release_time) if payment.release_time else None,
        create_time=wire.instant(payment.create_time),
        update_time=wire.instant(payment.update_time),
    )


def taken_to_wire(taken: Taken) -> payments_pb2.StatusReport:
    """Return what became of a status report as the contract shows it."""
    counts = Counter(status.outcome for status in taken.statuses)
    unmatched = [one for one in taken.statuses if one.outcome is Outcome.UNMATCHED]
    return payments_pb2.StatusReport(
        report=taken.report.id,
        original_file=taken.report.original_file,
        applied_count=counts[Outcome.APPLIED],
        noted_count=counts[Outcome.NOTED],
        unmatched_count=len(unmatched),
        unmatched=[status_to_wire(status) for status in unmatched[:REPORTED_MAX]],
        is_duplicate=taken.is_duplicate,
    )


def status_to_wire(status: PaymentStatus) -> payments_pb2.PaymentStatus:
    """Return what a rail said of a payment as the contract shows it."""
    return payments_pb2.PaymentStatus(
        name=status.name,
        report=status.report,
        original_file=status.original_file,
        end_to_end_id=status.end_to_end_id,
        code=wire.enum_number(
            payments_pb2.PaymentStatusCode, status.code, prefix="PAYMENT_STATUS_CODE_"
        ),
        reason_code=status.reason_code,
        reason=status.reason,
        outcome=wire.enum_number(
            payments_pb2.PaymentStatusOutcome, status.outcome, prefix="PAYMENT_STATUS_OUTCOME_"
        ),
        problem=status.problem,
        payment=name("payments", status.payment) if status.payment else "",
        is_simulated=status.is_simulated,
        create_time=wire.instant(status.create_time),
    )


def line_to_wire(line: StatementLine, *, today: date) -> payments_pb2.StatementLine:
    """Return a line of a bank statement as the contract shows it, its age as of a date."""
    return payments_pb2.StatementLine(
        name=line.name,
        statement=line.statement,
        reference=line.reference,
        state=wire.enum_number(
            payments_pb2.StatementLineState, line.state, prefix="STATEMENT_LINE_STATE_"
        ),
        amount=wire.money(line.amount, CURRENCY),
        is_credit=line.is_credit,
        end_to_end_id=line.end_to_end_id,
        remittance=line.remittance,
        booking_date=wire.date(line.booking_date),
        matched=line.matched,
        unmatched_days=line.unmatched_days(today),
        create_time=wire.instant(line.create_time),
    )
