"""What settlement does with ledgers and accounts, one transaction a command."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.kit.connection import Connection, Row
from services.kit.errors import InvalidArgument, NotFound
from services.kit.etags import check_etag
from services.kit.ids import name
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.settlement import posting_store, store
from services.settlement.account import (
    LEDGER_MAX,
    AccountKey,
    AccountKind,
    AccountRecord,
    Ledger,
    flags_in,
    key_problem,
    ledger_of,
)
from services.settlement.errors import AccountNotEmpty, InstantNotPast
from services.settlement.lifecycle import ACCOUNT
from services.settlement.transfer import Standing


async def create_ledger(tx: Transaction, *, book: str, currency_code: str) -> Ledger:
    """Open a ledger, or return the one of this book and currency.

    Raises:
        InvalidArgument: There are as many ledgers as account numbers have room for.
    """
    ledger = await store.insert_ledger(
        tx.connection, book=book, currency_code=currency_code, at=tx.now
    )
    if ledger is None:
        raise InvalidArgument("book", f"there are {LEDGER_MAX:,} ledgers already")
    return ledger


async def create_accounts(tx: Transaction, keys: Sequence[AccountKey]) -> list[AccountRecord]:
    """Open accounts, or return those that exist, in the order asked for.

    Raises:
        InvalidArgument: A kind lacks its owner or reference, or takes none.
        NotFound: There is no such ledger.
    """
    problems = [
        (f"accounts[{place}].{problem[0]}", problem[1])
        for place, key in enumerate(keys)
        if (problem := key_problem(key)) is not None
    ]
    if problems:
        raise InvalidArgument.many(problems)
    ledgers = await store.list_ledger_ids(tx.connection)
    for key in keys:
        if key.ledger not in ledgers:
            raise NotFound(name("ledgers", key.ledger))
    await store.insert_accounts(tx.connection, keys, at=tx.now)
    found = {record.key: record for record in await store.list_accounts_of(tx.connection, keys)}
    return [found[key] for key in keys]


async def get_account(connection: Connection, number: int, *, viewer: Principal) -> AccountRecord:
    """Return an account that the viewer may see.

    Raises:
        NotFound: There is none, or it is another party's.
    """
    record = await store.find_account(connection, number, viewer=viewer)
    if record is None:
        raise NotFound(name("accounts", number))
    return record


async def list_accounts(
    connection: Connection,
    *,
    viewer: Principal,
    owner: UUID | None,
    kind: AccountKind | None,
    reference: str,
    after: int,
    limit: int,
) -> list[AccountRecord]:
    """Return accounts by number; a user's are those of their own party."""
    if not viewer.sees_all:
        own = UUID(viewer.require_party().removeprefix("parties/"))
        if owner not in (None, own):
            return []
        owner = own
    return await store.list_accounts(
        connection, owner=owner, kind=kind, reference=reference, after=after, limit=limit
    )


async def change_state(
    tx: Transaction, number: int, command: str, *, etag: str, viewer: Principal
) -> AccountRecord:
    """Freeze, unfreeze or close an account.

    Raises:
        NotFound: There is none, or it is another party's.
        EtagMismatch: It changed since `etag` was read.
        TransitionRefused: Its state does not allow the command.
        AccountNotEmpty: It is to be closed and holds something.
    """
    await posting_store.lock_ledger(tx.connection, ledger_of(number))
    record = await get_account(tx.connection, number, viewer=viewer)
    check_etag(etag, record.version)
    step = ACCOUNT.next(record.state, command, subject=record.name)
    if command == "close" and not record.is_empty:
        account = record.account
        raise AccountNotEmpty(
            record.name,
            balance_fen=account.standing.balance_fen,
            held_fen=account.debits_pending + account.credits_pending,
        )
    flags = flags_in(record.account.flags, step.target)
    await store.set_flags(tx.connection, number, flags, at=tx.now)
    return await get_account(tx.connection, number, viewer=viewer)


async def list_entries(
    connection: Connection, number: int, *, viewer: Principal, before: int | None, limit: int
) -> tuple[AccountRecord, list[Row]]:
    """Return an account and a page of its statement, the newest first.

    Raises:
        NotFound: There is no such account, or it is another party's.
    """
    record = await get_account(connection, number, viewer=viewer)
    ledger = record.key.ledger
    return record, await store.list_entries(
        connection, number, ledger=ledger, before=before, limit=limit
    )


async def get_balance(
    connection: Connection, number: int, *, viewer: Principal, at: datetime, now: datetime
) -> tuple[AccountRecord, Standing]:
    """Return an account and how it stood at an instant.

    Raises:
        NotFound: There is no such account, or it is another party's.
        InstantNotPast: The instant lies ahead of domain time.
    """
    record = await get_account(connection, number, viewer=viewer)
    if at > now:
        raise InstantNotPast("at")
    return record, await store.standing_at(connection, number, ledger=record.key.ledger, at=at)


async def get_trial_balance(connection: Connection, ledger: int) -> list[Row]:
    """Return the sums of each kind of account of a ledger.

    Raises:
        NotFound: There is no such ledger.
    """
    rows = await store.sum_kinds(connection, ledger)
    if not rows:
        raise NotFound(name("ledgers", ledger))
    return rows
