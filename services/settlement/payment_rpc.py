"""The contract of payments and bank statements: protobuf to arguments and back, nothing else."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

from ironloop.settlement.v1 import payments_pb2, payments_pb2_grpc

from services.kit import wire
from services.kit.errors import NotFound
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.settlement import ecny_handlers, statement_handlers, status_handlers, status_store
from services.settlement import payment_handlers as handlers
from services.settlement import payment_store as store
from services.settlement.camt053 import read_camt053
from services.settlement.pain002 import read_pain002
from services.settlement.payment_handlers import PaymentOrder
from services.settlement.payment_model import LineState, Payment, PaymentState, Rail, StatementLine
from services.settlement.payment_moves import CURRENCY, conclude
from services.settlement.payment_wire import (
    REPORTED_MAX,
    line_to_wire,
    payment_to_wire,
    status_to_wire,
    taken_to_wire,
)
from services.settlement.status_model import Outcome, PaymentStatus
from services.settlement.wire import number_of


class PaymentRpc(payments_pb2_grpc.PaymentServiceServicer):
    """Serves ironloop.settlement.v1.PaymentService."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages
        self._clock = runtime.clock

    async def CreatePayment(
        self, request: payments_pb2.CreatePaymentRequest, context: Any
    ) -> payments_pb2.Payment:
        """Instruct a payment."""
        order = PaymentOrder(
            account=number_of(request.account, "accounts", field="account"),
            rail=Rail(wire.enum_name(payments_pb2.Rail, request.rail, prefix="RAIL_")),
            amount_fen=wire.fen(request.amount, field="amount", positive=True),
            destination=number_of(request.destination, "accounts", field="destination")
            if request.destination
            else None,
            creditor_name=request.creditor_name,
            creditor_account=request.creditor_account,
            creditor_agent=request.creditor_agent,
            remittance=request.remittance,
            ecny_wallet=parse_name(request.ecny_wallet, "ecnyWallets", field="ecny_wallet")
            if request.ecny_wallet
            else None,
            purpose=request.purpose,
            release_event=request.release_event,
            release_deadline=wire.to_instant(request.release_deadline, field="release_deadline")
            if request.HasField("release_deadline")
            else None,
        )

        async def work(tx: Transaction) -> payments_pb2.Payment:
            return payment_to_wire(await handlers.create_payment(tx, order, viewer=principal()))

        return await self._commands.run(request, work)

    async def AuthorisePayment(
        self, request: payments_pb2.AuthorisePaymentRequest, context: Any
    ) -> payments_pb2.Payment:
        """Authorise a payment."""

        async def work(tx: Transaction) -> payments_pb2.Payment:
            payment = await _locked(tx, request)
            return payment_to_wire(
                await handlers.authorise_payment(tx, payment, checker=principal())
            )

        return await self._commands.run(request, work)

    async def SubmitPayment(
        self, request: payments_pb2.SubmitPaymentRequest, context: Any
    ) -> payments_pb2.Payment:
        """Hand a payment to its rail."""

        async def work(tx: Transaction) -> payments_pb2.Payment:
            return payment_to_wire(await handlers.submit_payment(tx, await _locked(tx, request)))

        return await self._commands.run(request, work)

    async def CancelPayment(
        self, request: payments_pb2.CancelPaymentRequest, context: Any
    ) -> payments_pb2.Payment:
        """Cancel a payment."""

        async def work(tx: Transaction) -> payments_pb2.Payment:
            payment = await _locked(tx, request)
            return payment_to_wire(
                await conclude(tx, payment, "cancel", reason=f"cancelled by {principal().actor}")
            )

        return await self._commands.run(request, work)

    async def ReleasePayment(
        self, request: payments_pb2.ReleasePaymentRequest, context: Any
    ) -> payments_pb2.Payment:
        """Let a payment go on that waits for an event."""

        async def work(tx: Transaction) -> payments_pb2.Payment:
            payment = await handlers.get_payment(
                tx, parse_name(request.name, "payments"), viewer=principal()
            )
            return payment_to_wire(await ecny_handlers.release_payment(tx, payment, request.event))

        return await self._commands.run(request, work)

    async def GetPayment(
        self, request: payments_pb2.GetPaymentRequest, context: Any
    ) -> payments_pb2.Payment:
        """Return a payment."""
        payment_id = parse_name(request.name, "payments")
        async with self._database.read() as connection:
            payment = await store.find_payment(connection, payment_id, viewer=principal())
        if payment is None:
            raise NotFound(request.name)
        return payment_to_wire(payment)

    async def ListPayments(
        self, request: payments_pb2.ListPaymentsRequest, context: Any
    ) -> payments_pb2.ListPaymentsResponse:
        """List payments, the newest first."""
        page = self._pages.open(request)
        state = wire.enum_name(payments_pb2.PaymentState, request.state, prefix="PAYMENT_STATE_")
        async with self._database.read() as connection:
            rows = await store.list_payments(
                connection,
                viewer=principal(),
                state=PaymentState(state) if request.state else None,
                before=page.after,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=_key)
        return payments_pb2.ListPaymentsResponse(
            payments=[payment_to_wire(payment) for payment in kept], next_page_token=token
        )

    async def ExportPain001(
        self, request: payments_pb2.ExportPain001Request, context: Any
    ) -> payments_pb2.Pain001File:
        """Write a file of payments."""

        async def work(tx: Transaction) -> payments_pb2.Pain001File:
            message_id, exported, xml = await handlers.export_pain001(tx)
            return payments_pb2.Pain001File(
                message_id=message_id,
                payment_count=len(exported),
                control_sum=wire.money(sum(payment.amount for payment in exported), CURRENCY),
                xml=xml,
            )

        return await self._commands.run(request, work)

    async def ImportPain002(
        self, request: payments_pb2.ImportPain002Request, context: Any
    ) -> payments_pb2.StatusReport:
        """Take in the bank's answer to a file of payments."""

        # As with a statement: in a thread, and before the transaction.
        report = await asyncio.to_thread(read_pain002, request.xml, currency=CURRENCY)

        async def work(tx: Transaction) -> payments_pb2.StatusReport:
            return taken_to_wire(await status_handlers.import_report(tx, report, xml=request.xml))

        return await self._commands.run(request, work)

    async def ListPaymentStatuses(
        self, request: payments_pb2.ListPaymentStatusesRequest, context: Any
    ) -> payments_pb2.ListPaymentStatusesResponse:
        """List what rails have said of payments, the oldest first."""
        page = self._pages.open(request)
        outcome = wire.enum_name(
            payments_pb2.PaymentStatusOutcome, request.outcome, prefix="PAYMENT_STATUS_OUTCOME_"
        )
        async with self._database.read() as connection:
            rows = await status_store.list_statuses(
                connection,
                outcome=Outcome(outcome) if request.outcome else None,
                after=page.after,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=_key)
        return payments_pb2.ListPaymentStatusesResponse(
            statuses=[status_to_wire(status) for status in kept], next_page_token=token
        )

    async def ImportCamt053(
        self, request: payments_pb2.ImportCamt053Request, context: Any
    ) -> payments_pb2.StatementReport:
        """Take in a bank statement."""

        # Thousands of lines take a while to read: in a thread, and before the transaction.
        statement = await asyncio.to_thread(read_camt053, request.xml, currency=CURRENCY)

        async def work(tx: Transaction) -> payments_pb2.StatementReport:
            imported = await statement_handlers.import_statement(tx, statement)
            unmatched = [line for line in imported.lines if line.state is LineState.UNMATCHED]
            today = self._clock.today()
            return payments_pb2.StatementReport(
                statement=imported.statement,
                matched_count=len(imported.lines) - len(unmatched),
                unmatched_count=len(unmatched),
                duplicate_count=imported.duplicate_count,
                unmatched=[line_to_wire(line, today=today) for line in unmatched[:REPORTED_MAX]],
            )

        return await self._commands.run(request, work)

    async def ListStatementLines(
        self, request: payments_pb2.ListStatementLinesRequest, context: Any
    ) -> payments_pb2.ListStatementLinesResponse:
        """List lines of bank statements, the oldest first."""
        page = self._pages.open(request)
        state = wire.enum_name(
            payments_pb2.StatementLineState, request.state, prefix="STATEMENT_LINE_STATE_"
        )
        async with self._database.read() as connection:
            rows = await store.list_lines(
                connection,
                state=LineState(state) if request.state else None,
                after=page.after,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=_key)
        today = self._clock.today()
        return payments_pb2.ListStatementLinesResponse(
            lines=[line_to_wire(line, today=today) for line in kept],
            next_page_token=token,
        )

    async def MatchStatementLine(
        self, request: payments_pb2.MatchStatementLineRequest, context: Any
    ) -> payments_pb2.StatementLine:
        """Move an unmatched line's money to a wallet."""

        async def work(tx: Transaction) -> payments_pb2.StatementLine:
            line = await statement_handlers.match_line(
                tx,
                parse_name(request.name, "statementLines"),
                number_of(request.account, "accounts", field="account"),
                viewer=principal(),
            )
            return line_to_wire(line, today=self._clock.today())

        return await self._commands.run(request, work)


def _key(row: Payment | StatementLine | PaymentStatus) -> tuple[datetime, UUID]:
    return row.create_time, row.id


async def _locked(tx: Transaction, request: Any) -> Payment:
    return await handlers.get_payment(
        tx, parse_name(request.name, "payments"), viewer=principal(), etag=request.etag
    )
