"""The service's own role adds to the ledger and takes nothing from it."""

from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from services.kit.connection import Connection
from services.kit.ids import new_id
from services.kit.principals import enter, service_principal
from services.kit.transaction import Transaction
from services.settlement import handlers, posting
from services.settlement.account import AccountKey, AccountKind
from services.settlement.commit_store import LedgerBroken
from services.settlement.ledger_state import chains
from services.settlement.plan import Plan, plan
from services.settlement.transfer import ResultCode, Transfer, TransferKind
from tests.integration.settlement.conftest import LedgerDatabase

LEDGERS = frozenset({1})


class Undone(Exception):
    """Ends a transaction before its commit."""


async def fund(tx: Transaction) -> int:
    """Post one transfer and one refusal and return the wallet's number."""
    enter(service_principal("settlement"), "test")
    keys = [
        AccountKey(1, AccountKind.BANK, None, str(new_id())),
        AccountKey(1, AccountKind.WALLET, new_id(), ""),
    ]
    bank, wallet = [record.account.id for record in await handlers.create_accounts(tx, keys)]
    plain = Transfer(
        new_id(), new_id(), TransferKind.POSTED, bank, wallet, 100, None, 0, False, 1, "", ""
    )
    rows = [
        plain,
        plain._replace(id=new_id(), debit_account=wallet, credit_account=bank, amount_fen=101),
    ]
    outcomes = await posting.post(tx, 1, chains(rows), ledgers=LEDGERS)
    assert [outcome.code for outcome in outcomes] == [
        ResultCode.CREATED,
        ResultCode.EXCEEDS_CREDITS,
    ]
    return wallet


FORBIDDEN = [
    "update transfer set amount = 1",
    "delete from transfer",
    "update transfer_default set amount = 1",
    "delete from transfer_default",
    "truncate transfer",
    "update rejection set reason = 1",
    "delete from rejection",
    "delete from reversal",
    "update ledger_commit set transfer_count = 1",
    "delete from ledger_commit",
    "delete from account",
    "update account set id = id",
    "update account set owner = id_floor(1)",
    "delete from ledger",
    "update ledger set currency_code = 'USD'",
    "delete from hold",
    "update hold set amount = 1",
    "alter table transfer disable trigger all",
    "drop table transfer",
    "update transfer_partition set state = 'DETACHED'",
]


@pytest.mark.parametrize("statement", FORBIDDEN)
async def test_what_is_in_the_ledger_stays_as_it_is(ledger: LedgerDatabase, statement: str) -> None:
    async def work(tx: Transaction) -> None:
        await tx.connection.execute(statement)

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ledger.database.run(work)


async def test_no_partition_is_a_back_door(ledger: LedgerDatabase) -> None:
    async with ledger.database.read() as connection:
        parts = [
            row["name"]
            for row in await connection.fetch(
                "select inhrelid::regclass::text as name from pg_inherits "
                "where inhparent = 'transfer'::regclass"
            )
        ]
        assert len(parts) >= 5
        for part in parts:
            for right in ("update", "delete", "truncate"):
                allowed = await connection.fetchval(
                    "select has_table_privilege($1, $2)", part, right
                )
                assert not allowed, f"{right} on {part}"


async def test_an_account_moves_by_transfers_and_by_nothing_else(ledger: LedgerDatabase) -> None:
    async def work(tx: Transaction) -> None:
        wallet = await fund(tx)
        await tx.connection.execute(
            "update account set credits_posted = credits_posted + 1 where id = $1", wallet
        )

    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await ledger.database.run(work)


async def test_no_hand_breaks_a_limit_not_even_the_owners(ledger: LedgerDatabase) -> None:
    wallet = await ledger.database.run(fund)
    owner = await asyncpg.connect(ledger.owner_dsn)
    try:
        with pytest.raises(asyncpg.CheckViolationError) as caught:
            await owner.execute(
                "update account set debits_posted = debits_posted + 101 where id = $1", wallet
            )
        assert caught.value.constraint_name == "debits_within_credits"
    finally:
        await owner.close()


@pytest.mark.parametrize("side", ["debit", "credit"])
@pytest.mark.parametrize("column", ["balance_fen", "available_fen"])
async def test_a_plan_that_the_database_contradicts_is_not_committed(
    ledger: LedgerDatabase, monkeypatch: pytest.MonkeyPatch, side: str, column: str
) -> None:
    made = plan

    def drifting(*arguments: Any, **keywords: Any) -> Plan:
        right = made(*arguments, **keywords)
        last = right.created[-1]
        standing = getattr(last, side)
        wrong = standing._replace(**{column: getattr(standing, column) + 1})
        return replace(right, created=[*right.created[:-1], last._replace(**{side: wrong})])

    before = await _count(ledger)
    monkeypatch.setattr(posting, "plan", drifting)
    with pytest.raises(LedgerBroken):
        await ledger.database.run(fund)
    assert await _count(ledger) == before


async def _count(ledger: LedgerDatabase) -> int:
    async with ledger.database.read() as connection:
        return await _transfers(connection)


async def _transfers(connection: Connection) -> int:
    count: int = await connection.fetchval("select count(*) from transfer")
    return count
