"""How payments end, and the money of each end: it is posted, let go or given back."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from ironloop.settlement.v1 import payments_pb2
from ironloop.settlement.v1 import settlement_events_pb2 as events

from services.kit import wire
from services.kit.ids import fact_id, name
from services.kit.transaction import Transaction
from services.settlement import payment_store as payments
from services.settlement import posting, store
from services.settlement.account import (
    MAIN_LEDGER,
    AccountKey,
    AccountKind,
    AccountRecord,
    ledger_of,
)
from services.settlement.errors import InsufficientFunds, TransferRefused
from services.settlement.ledger_state import chains
from services.settlement.lifecycle import PAYMENT
from services.settlement.payment_model import Payment, PaymentState
from services.settlement.transfer import REVERSAL, SUCCESSES, ResultCode, Transfer, TransferKind

WITHDRAWAL = 2  # the transfer code of docs/accounts.md
CURRENCY = "CNY"
RELEASE_TIMER = "release_expired"


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a payment's lifecycle that ends it, and why."""

    payment: Payment
    command: str
    reason: str = ""


async def conclude(tx: Transaction, payment: Payment, command: str, *, reason: str) -> Payment:
    """Settle, reject, return or cancel a payment, and announce it.

    Raises:
        TransitionRefused: Its state does not allow the command.
        TransferRefused: The ledger refuses its transfer.
    """
    return (await conclude_all(tx, [Step(payment, command, reason)]))[0]


async def conclude_all(tx: Transaction, steps: Sequence[Step]) -> list[Payment]:
    """Do the same for many payments at once, their transfers in one posting.

    Raises:
        TransitionRefused: The state of one does not allow its command.
        TransferRefused: The ledger refuses a transfer.
    """
    targets = [
        PAYMENT.next(step.payment.state, step.command, subject=step.payment.name).target
        for step in steps
    ]
    rows = [
        await _transfer_to(tx, step.payment, target)
        for step, target in zip(steps, targets, strict=True)
    ]
    if any(rows):
        await move(tx, steps[0].payment.name, *(row for row in rows if row is not None))
    concluded = []
    for step, target, row in zip(steps, targets, rows, strict=True):
        is_settled = target is PaymentState.SETTLED
        changed = await payments.update_payment(
            tx.connection,
            replace(
                step.payment,
                state=target,
                failure=step.reason,
                post_transfer=row.id if is_settled and row else step.payment.post_transfer,
            ),
            announces=True,
            at=tx.now,
        )
        await tx.emit(_event_of(changed, step.reason))
        concluded.append(changed)
    return concluded


async def _transfer_to(tx: Transaction, payment: Payment, target: PaymentState) -> Transfer | None:
    """Return the transfer that brings a payment to its end, or None where nothing is held."""
    if target is PaymentState.SETTLED:
        return _resolving(tx, payment, TransferKind.POST_PENDING)
    if payment.post_transfer is not None:
        return await _reversing(tx, payment, payment.post_transfer)
    if payment.hold_transfer is not None:
        await tx.cancel_timers(payment.name, kind=RELEASE_TIMER)
        return _resolving(tx, payment, TransferKind.VOID_PENDING)
    return None


async def bank_account(tx: Transaction, ledger: int) -> int:
    """Return the number of the ledger's mirror of the bank account that payments leave."""
    return (await open_account(tx, AccountKey(ledger, AccountKind.BANK, None, ""))).account.id


async def open_account(tx: Transaction, key: AccountKey) -> AccountRecord:
    """Return an account, opened where there is none."""
    await store.insert_accounts(tx.connection, [key], at=tx.now)
    return (await store.list_accounts_of(tx.connection, [key]))[0]


async def move(tx: Transaction, subject: str, *rows: Transfer) -> None:
    """Post transfers of one ledger in this transaction, all of them.

    Raises:
        InsufficientFunds: The account does not hold the amount.
        TransferRefused: The ledger refuses one for another reason.
    """
    accounts = [row.debit_account for row in rows if row.debit_account]
    ledger = ledger_of(accounts[0]) if accounts else MAIN_LEDGER
    outcomes = await posting.post(tx, ledger, chains(rows), ledgers=frozenset({ledger}))
    for row, outcome in zip(rows, outcomes, strict=True):
        if outcome.code is ResultCode.EXCEEDS_CREDITS:
            raise InsufficientFunds(name("accounts", row.debit_account), amount_fen=row.amount_fen)
        if outcome.code not in SUCCESSES:
            raise TransferRefused(subject, outcome.code.name)


def _resolving(tx: Transaction, payment: Payment, kind: TransferKind) -> Transfer:
    """Return what posts or voids a payment's hold."""
    return Transfer(
        fact_id(tx.now, payment.name, kind.name),
        payment.id,
        kind,
        payment.account,
        0,
        0,
        payment.hold_transfer,
        0,
        False,
        WITHDRAWAL,
        payment.name,
        payment.remittance,
    )


async def _reversing(tx: Transaction, payment: Payment, post_transfer: UUID) -> Transfer:
    """Return what gives a settled payment back: the mirror image of what moved it."""
    target = payment.destination or await bank_account(tx, ledger_of(payment.account))
    return Transfer(
        fact_id(tx.now, payment.name, "return"),
        payment.id,
        TransferKind.POSTED,
        target,
        payment.account,
        payment.amount,
        None,
        0,
        False,
        REVERSAL,
        name("transfers", post_transfer),
        payment.remittance,
    )


def _event_of(
    payment: Payment, reason: str
) -> events.PaymentSettled | events.PaymentReturned | events.PaymentFailed:
    """Return the event that announces how a payment stands."""
    told: dict[str, Any] = {
        "payment": payment.name,
        "sequence": payment.event_sequence,
        "rail": wire.enum_number(payments_pb2.Rail, payment.rail, prefix="RAIL_"),
        "end_to_end_id": payment.end_to_end_id,
        "amount": wire.money(payment.amount, CURRENCY),
        "party": name("parties", payment.party),
    }
    if payment.state is PaymentState.SETTLED:
        return events.PaymentSettled(**told)
    if payment.state is PaymentState.RETURNED:
        return events.PaymentReturned(**told, reason=reason)
    return events.PaymentFailed(**told, reason=reason)
