"""The service's own role adds to the ledger and takes nothing from it."""

import asyncpg
import pytest

from services.kit.connection import Connection
from services.kit.ids import new_id
from services.kit.principals import enter, service_principal
from services.kit.transaction import Transaction
from services.settlement import handlers, posting
from services.settlement.account import AccountKey, AccountKind
from services.settlement.model import chains
from services.settlement.plan import plan
from services.settlement.posting_store import LedgerBroken
from services.settlement.transfer import ResultCode, Transfer, TransferKind
from tests.integration.settlement.conftest import LedgerDatabase

AROUND = posting.Surroundings(frozenset({1}), 0)


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
    outcomes = await posting.post(tx, 1, chains(rows), around=AROUND)
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
    "update account set owner = null",
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


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("update account set debits_posted = debits_posted + 1 where id = $1", "account_sums"),
        ("update account set credits_pending = credits_pending + 5 where id = $1", "account_sums"),
        (
            """
            update account set debits_posted = debits_posted + 101,
                credits_posted = credits_posted + case when id = $1 then 0 else 101 end
            where id = $1
            """,
            "debits_within_credits",
        ),
    ],
)
async def test_no_statement_unbalances_an_account_or_breaks_its_limit(
    ledger: LedgerDatabase, statement: str, constraint: str
) -> None:
    async def work(tx: Transaction) -> None:
        wallet = await fund(tx)
        await tx.connection.execute(statement, wallet)

    with pytest.raises(asyncpg.CheckViolationError) as caught:
        await ledger.database.run(work)
    assert caught.value.constraint_name == constraint


async def test_a_plan_that_the_database_contradicts_is_not_committed(
    ledger: LedgerDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan

    def drifting(*arguments: object, **keywords: object) -> object:
        right = made(*arguments, **keywords)  # type: ignore[arg-type]
        if not right.created:
            return right
        number, account = next(iter(right.accounts.items()))
        wrong = account._replace(debits_posted=account.debits_posted + 1)
        accounts = {**right.accounts, number: wrong}
        return type(right)(
            right.outcomes,
            right.created,
            right.refused,
            right.opened,
            right.resolved,
            right.reversals,
            accounts,
        )

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
