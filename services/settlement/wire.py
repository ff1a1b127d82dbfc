"""Transfers, accounts and statements between the contract and Python."""

from collections.abc import Sequence
from uuid import UUID

from asyncpg.pgproto import pgproto
from ironloop.settlement.v1 import settlement_pb2

from services.kit import wire
from services.kit.connection import Row
from services.kit.errors import InvalidArgument
from services.kit.etags import etag
from services.kit.ids import name
from services.kit.principals import Principal
from services.settlement.account import CHART, KIND_OF_CODE, AccountRecord, Ledger
from services.settlement.events import transfer_to_wire
from services.settlement.posting_store import posted_of
from services.settlement.transfer import (
    MALFORMED,
    MEMO_CHARACTERS_MAX,
    PURPOSE_CHARACTERS_MAX,
    REPLACEMENT,
    Outcome,
    Transfer,
)

_UUID_LENGTH = 36


def transfer_of(row: settlement_pb2.Transfer) -> Transfer:
    """Return a row as the rules take it. Nothing is refused here: a flaw is the row's result.

    The row's own txn is filled in where it is absent: the row tells of the transfer from here on.
    """
    sent_id = row.id
    identifier = _uuid(sent_id)
    if txn := row.txn:
        txn_id = identifier if txn == sent_id else _uuid(txn)
    else:
        row.txn, txn_id = sent_id, identifier
    return Transfer(
        identifier,
        txn_id,
        row.kind,
        row.debit_account,
        row.credit_account,
        row.amount_fen,
        _uuid(row.pending_id) if row.pending_id else None,
        row.timeout_s,
        row.linked,
        row.code,
        _text(row.purpose, PURPOSE_CHARACTERS_MAX),
        _text(row.memo, MEMO_CHARACTERS_MAX),
    )


def result_to_wire(sent_id: str, outcome: Outcome) -> settlement_pb2.TransferResult:
    """Return what became of a transfer under the id as it was sent."""
    posted = outcome.posted
    if posted is None:
        return settlement_pb2.TransferResult(id=sent_id, code=outcome.code)  # type: ignore[arg-type]
    return settlement_pb2.TransferResult(
        id=sent_id,
        code=outcome.code,  # type: ignore[arg-type]  # the numbers are the contract's
        debit_balance_fen=posted.debit.balance_fen,
        debit_available_fen=posted.debit.available_fen,
        credit_balance_fen=posted.credit.balance_fen,
        credit_available_fen=posted.credit.available_fen,
        number=posted.number,
    )


def results_to_wire(
    sent: Sequence[settlement_pb2.Transfer], outcomes: Sequence[Outcome]
) -> settlement_pb2.PostTransfersResponse:
    """Return what became of a batch."""
    answer = settlement_pb2.PostTransfersResponse()
    add = answer.results.add
    for row, (_, code, posted) in zip(sent, outcomes, strict=True):
        if posted is None:
            add(id=row.id, code=code)  # the numbers are the contract's
            continue
        _, number, _, _, debit, credit = posted
        add(
            id=row.id,
            code=code,
            debit_balance_fen=debit[0],
            debit_available_fen=debit[1],
            credit_balance_fen=credit[0],
            credit_available_fen=credit[1],
            number=number,
        )
    return answer


def number_of(resource: str, collection: str, *, field: str = "name") -> int:
    """Return the number in "<collection>/<number>".

    Raises:
        InvalidArgument: It has another form; names `field`.
    """
    prefix, _, number = resource.partition("/")
    if prefix != collection or not (number.isascii() and number.isdigit()):
        raise InvalidArgument(field, f'must have the form "{collection}/<number>"')
    return int(number)


def ledger_to_wire(ledger: Ledger) -> settlement_pb2.Ledger:
    """Return a ledger as the contract shows it."""
    return settlement_pb2.Ledger(
        name=ledger.name,
        book=ledger.book,
        currency_code=ledger.currency_code,
        event_sequence=ledger.event_sequence,
        transfer_count=ledger.transfer_count,
        create_time=wire.instant(ledger.create_time),
    )


def account_to_wire(record: AccountRecord) -> settlement_pb2.Account:
    """Return an account as the contract shows it."""
    key, account, currency = record.key, record.account, record.currency
    return settlement_pb2.Account(
        name=record.name,
        number=account.id,
        etag=etag(record.version),
        state=wire.enum_number(settlement_pb2.AccountState, record.state, prefix="ACCOUNT_STATE_"),
        kind=key.kind,  # type: ignore[arg-type]  # the numbers are the contract's
        owner=name("parties", key.owner) if key.owner else "",
        reference=key.reference,
        ledger=name("ledgers", key.ledger),
        currency_code=currency,
        balance=wire.money(account.standing.balance_fen, currency),
        available=wire.money(account.standing.available_fen, currency),
        debits_pending=wire.money(account.debits_pending, currency),
        credits_pending=wire.money(account.credits_pending, currency),
        debits_posted=wire.money(account.debits_posted, currency),
        credits_posted=wire.money(account.credits_posted, currency),
        create_time=wire.instant(record.create_time),
        update_time=wire.instant(record.update_time),
    )


def entry_to_wire(row: Row, record: AccountRecord) -> settlement_pb2.Entry:
    """Return a line of an account's statement."""
    is_debit = row["debit_account"] == record.account.id
    currency = record.currency
    return settlement_pb2.Entry(
        transfer=name("transfers", row["id"]),
        txn=str(row["txn"]),
        number=row["number"],
        kind=row["kind"],
        code=row["code"],
        side=settlement_pb2.ENTRY_SIDE_DEBIT if is_debit else settlement_pb2.ENTRY_SIDE_CREDIT,
        counter_account=name(
            "accounts", row["credit_account"] if is_debit else row["debit_account"]
        ),
        amount=wire.money(row["amount"], currency),
        released=wire.money(row["released"], currency),
        balance=wire.money(row["debit_balance" if is_debit else "credit_balance"], currency),
        available=wire.money(row["debit_available" if is_debit else "credit_available"], currency),
        purpose=row["purpose"],
        memo=row["memo"],
        event_time=wire.instant(row["event_at"]),
    )


def posted_to_wire(row: Row, viewer: Principal) -> settlement_pb2.PostedTransfer:
    """Return a transfer as the viewer may see it: the balances of their own accounts only."""
    posted = posted_of(row)
    message = settlement_pb2.PostedTransfer(
        transfer=transfer_to_wire(posted),
        ledger=name("ledgers", row["ledger"]),
        number=posted.number,
        event_time=wire.instant(posted.event_at),
        hold_state=row["hold_state"] or settlement_pb2.HOLD_STATE_UNSPECIFIED,
    )
    if row["expires_at"] is not None:
        message.expire_time.CopyFrom(wire.instant(row["expires_at"]))
    if viewer.sees_all or _is_of(row["debit_owner"], viewer):
        message.debit_balance_fen = posted.debit.balance_fen
        message.debit_available_fen = posted.debit.available_fen
    if viewer.sees_all or _is_of(row["credit_owner"], viewer):
        message.credit_balance_fen = posted.credit.balance_fen
        message.credit_available_fen = posted.credit.available_fen
    return message


def refusal_to_wire(row: Row) -> settlement_pb2.RefusedTransfer:
    """Return what is kept of a refused transfer."""
    return settlement_pb2.RefusedTransfer(
        id=str(row["id"]), code=row["reason"], event_time=wire.instant(row["event_at"])
    )


def trial_balance_to_wire(ledger: str, rows: Sequence[Row]) -> settlement_pb2.TrialBalance:
    """Return a trial balance from the sums of each kind of account."""
    lines = [row for row in rows if row["code"] is not None]
    currency = rows[0]["currency_code"]
    total = {
        column: sum(row[column] for row in lines)
        for column in ("debits_posted", "credits_posted", "debits_pending", "credits_pending")
    }
    return settlement_pb2.TrialBalance(
        ledger=ledger,
        lines=[
            settlement_pb2.TrialBalanceLine(
                kind=KIND_OF_CODE[row["code"]],  # type: ignore[arg-type]
                chart_code=CHART[KIND_OF_CODE[row["code"]]].code,
                account_count=row["account_count"],
                debits_posted=wire.money(row["debits_posted"], currency),
                credits_posted=wire.money(row["credits_posted"], currency),
                debits_pending=wire.money(row["debits_pending"], currency),
                credits_pending=wire.money(row["credits_pending"], currency),
                balance=wire.money(row["credits_posted"] - row["debits_posted"], currency),
            )
            for row in lines
        ],
        **{column: wire.money(amount, currency) for column, amount in total.items()},
        is_balanced=total["debits_posted"] == total["credits_posted"]
        and total["debits_pending"] == total["credits_pending"],
        transfer_count=rows[0]["transfer_count"],
    )


def _uuid(text: str) -> UUID:
    """Return a UUID, or MALFORMED where the text is not one in its plain lower-case form."""
    if len(text) != _UUID_LENGTH:
        return MALFORMED
    try:
        identifier: UUID = pgproto.UUID(text)  # the driver's own, ten times as fast to parse
    except ValueError:
        return MALFORMED
    return identifier if str(identifier) == text else MALFORMED


def _text(text: str, characters_max: int) -> str:
    """Return a text that PostgreSQL can store and that still shows its flaw."""
    return text[: characters_max + 1].replace("\0", REPLACEMENT)


def _is_of(owner: UUID, viewer: Principal) -> bool:
    return name("parties", owner) == viewer.party
