"""Reconciliation: what a bank statement says, line by line, in one transaction."""

from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import UUID

from ironloop.settlement.v1 import settlement_events_pb2 as events

from services.kit import wire
from services.kit.errors import NotFound
from services.kit.ids import fact_id, name, new_id
from services.kit.principals import Principal
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.settlement import handlers, store
from services.settlement import payment_store as payments
from services.settlement.account import (
    MAIN_LEDGER,
    AccountKey,
    AccountKind,
    AccountRecord,
)
from services.settlement.errors import StatementMalformed
from services.settlement.lifecycle import PAYMENT, STATEMENT_LINE
from services.settlement.payment_model import (
    LineState,
    Payment,
    Rail,
    Statement,
    StatementEntry,
    StatementLine,
)
from services.settlement.payment_moves import (
    CURRENCY,
    bank_account,
    conclude,
    move,
    open_account,
)
from services.settlement.transfer import Transfer, TransferKind

FUND_WALLET, UNMATCHED, MATCHED = 1, 36, 37  # transfer codes of docs/accounts.md
NUMBER_DIGITS_MAX = 18  # an account's number is below 10^18
AGE_TIMER = "statement_line_aged"
AGED_AFTER = timedelta(days=5)  # then somebody must look


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a statement's lines."""

    statement: str
    lines: list[StatementLine]
    duplicate_count: int


async def import_statement(tx: Transaction, statement: Statement) -> Imported:
    """Take in a bank statement, whole or not at all.

    Raises:
        StatementMalformed: It is of another account.
        TransferRefused: The ledger refuses a line's transfer.
    """
    bank = await bank_account(tx, MAIN_LEDGER)
    if statement.account != str(bank):
        raise StatementMalformed(1, "Acct", f"must be the account {bank}, not {statement.account}")
    known = await payments.list_known_references(
        tx.connection, bank, [entry.reference for entry in statement.entries]
    )
    fresh = [entry for entry in statement.entries if entry.reference not in known]
    meant = await payments.lock_payments_by_reference(
        tx.connection, [entry.end_to_end_id for entry in fresh if entry.end_to_end_id]
    )
    named = {number for entry in fresh if (number := _wallet_named(entry)) is not None}
    wallets = await store.list_open_wallets(tx.connection, named, ledger=MAIN_LEDGER)
    suspense = (await _suspense(tx)).account.id
    lines: list[StatementLine] = []
    transfers: list[Transfer] = []
    for entry in fresh:
        line = _line_of(tx, statement, entry, bank)
        wallet = _wallet_named(entry)
        if payment := await _match_payment(tx, entry, meant):
            line = replace(line, state=LineState.MATCHED, matched=payment)
        elif wallet in wallets:
            assert wallet is not None
            line = replace(line, state=LineState.MATCHED, matched=name("accounts", wallet))
            transfers.append(_transfer(tx, line, bank, wallet, FUND_WALLET))
        else:
            debit, credit = (bank, suspense) if line.is_credit else (suspense, bank)
            transfers.append(_transfer(tx, line, debit, credit, UNMATCHED))
            await _set_age_timer(tx, line)
        lines.append(line)
    if transfers:
        await move(tx, statement.id, *transfers)
    await payments.insert_lines(tx.connection, lines)
    return Imported(statement.id, lines, len(known))


async def match_line(
    tx: Transaction, line_id: UUID, wallet: int, *, viewer: Principal
) -> StatementLine:
    """Move an unmatched line's money from suspense to a wallet.

    Raises:
        NotFound: There is no such line or wallet.
        TransitionRefused: The line is matched, or its money went out.
        TransferRefused: The ledger refuses.
    """
    line = await payments.lock_line(tx.connection, line_id)
    if line is None:
        raise NotFound(name("statementLines", line_id))
    step = STATEMENT_LINE.next(
        line.state if line.is_credit else LineState.MATCHED, "match", subject=line.name
    )
    await handlers.get_account(tx.connection, wallet, viewer=viewer)
    suspense = (await _suspense(tx)).account.id
    await move(tx, line.name, _transfer(tx, line, suspense, wallet, MATCHED))
    await tx.cancel_timers(line.name, kind=AGE_TIMER)
    return await payments.update_line(
        tx.connection,
        line_id,
        state=step.target,
        matched=name("accounts", wallet),
        announces=False,
    )


async def on_line_aged(tx: Transaction, timer: Timer) -> None:
    """Announce that a line's money has rested in suspense for too long, and look again later."""
    line = await payments.lock_line(tx.connection, UUID(timer.payload["line"]))
    if line is None or line.state is not LineState.UNMATCHED:
        return
    line = await payments.update_line(
        tx.connection, line.id, state=line.state, matched=line.matched, announces=True
    )
    await tx.emit(
        events.StatementLineAged(
            line=line.name,
            sequence=line.event_sequence,
            reference=line.reference,
            amount=wire.money(line.amount, CURRENCY),
            is_credit=line.is_credit,
            unmatched_days=line.unmatched_days(tx.today),
        )
    )
    await _set_age_timer(tx, line)


async def _match_payment(tx: Transaction, entry: StatementEntry, meant: dict[str, Payment]) -> str:
    """Settle or return the payment that an entry tells of; return its name, or "" if none."""
    payment = meant.get(entry.end_to_end_id)
    if payment is None or payment.rail is not Rail.BANK or payment.amount != entry.amount_fen:
        return ""
    if entry.is_credit and not entry.is_return:
        return ""
    if not entry.is_credit and payment.post_transfer is not None and not payment.is_booked:
        # A status report settled it before; this line tells of the same money.
        booked = replace(payment, is_booked=True)
        meant[entry.end_to_end_id] = await payments.update_payment(
            tx.connection, booked, announces=False, at=tx.now
        )
        return payment.name
    command = "return" if entry.is_credit else "settle"
    known_steps = {(step.source, step.command) for step in PAYMENT.transitions}
    # Money that came back for a payment that never left would fund the wallet twice.
    if (payment.state, command) not in known_steps or (
        command == "return" and payment.post_transfer is None
    ):
        return ""
    reason = (entry.remittance or "returned by the bank") if entry.is_credit else ""
    payment = replace(payment, is_booked=payment.is_booked or not entry.is_credit)
    meant[entry.end_to_end_id] = await conclude(tx, payment, command, reason=reason)
    return payment.name


def _wallet_named(entry: StatementEntry) -> int | None:
    """Return the account number that an entry's reference names, if it is money that came in."""
    reference = entry.creditor_reference
    is_number = reference.isascii() and reference.isdigit() and len(reference) <= NUMBER_DIGITS_MAX
    return int(reference) if entry.is_credit and not entry.is_return and is_number else None


def _line_of(
    tx: Transaction, statement: Statement, entry: StatementEntry, bank: int
) -> StatementLine:
    """Return an entry as it is kept, not matched yet."""
    return StatementLine(
        new_id(),
        0,
        bank,
        statement.id,
        entry.reference,
        LineState.UNMATCHED,
        entry.amount_fen,
        entry.is_credit,
        entry.end_to_end_id,
        entry.remittance,
        entry.booking_date,
        "",
        tx.now,
    )


async def _set_age_timer(tx: Transaction, line: StatementLine) -> None:
    await tx.set_timer(
        AGE_TIMER, line.name, due_at=tx.now + AGED_AFTER, payload={"line": str(line.id)}
    )


async def _suspense(tx: Transaction) -> AccountRecord:
    return await open_account(tx, AccountKey(MAIN_LEDGER, AccountKind.SUSPENSE, None, ""))


def _transfer(tx: Transaction, line: StatementLine, debit: int, credit: int, code: int) -> Transfer:
    return Transfer(
        fact_id(tx.now, line.name, str(code)),
        line.id,
        TransferKind.POSTED,
        debit,
        credit,
        line.amount,
        None,
        0,
        False,
        code,
        line.name,
        line.remittance,
    )
