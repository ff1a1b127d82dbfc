"""Statements and past balances find entries across the stretches that their index keeps apart."""

from datetime import timedelta

import asyncpg

from services.kit.ids import new_id
from services.kit.principals import enter, service_principal
from services.settlement import handlers, posting_alone, store
from services.settlement.account import AccountKey, AccountKind
from services.settlement.ledger_state import chains
from services.settlement.memory import Memory
from tests.integration.settlement.conftest import LedgerDatabase, row
from tests.unit.settlement.batches import NOW

STRETCH = 1 << store.STRETCH_BITS
TRANSFERS = 7
BEFORE_THE_END = 3  # of the second stretch


async def test_a_statement_and_balances_cross_stretches_in_order(ledger: LedgerDatabase) -> None:
    enter(service_principal("settlement"), "test")
    opened = await ledger.database.run(
        lambda tx: handlers.create_ledger(tx, book=f"book {new_id()}", currency_code="CNY")
    )
    first = await skip_to(ledger, opened.id, 2 * STRETCH - BEFORE_THE_END)
    keys = [AccountKey(opened.id, AccountKind.BANK, None, str(new_id())) for _ in range(3)]
    records = await ledger.database.run(lambda tx: handlers.create_accounts(tx, keys))
    one, other, idle = [record.account.id for record in records]
    memory = Memory()
    for place in range(TRANSFERS):
        ledger.clock.at = NOW + timedelta(seconds=place)
        debit, credit = (one, other) if place % 2 else (other, one)
        outcomes = await posting_alone.post_alone(
            ledger.database,
            opened.id,
            chains([row(debit, credit, 10**place)]),
            ledgers=frozenset({opened.id}),
            memory=memory,
        )
        assert outcomes[0].posted is not None
        assert outcomes[0].posted.number == first + place

    async with ledger.database.read() as connection:
        pages: list[list[int]] = []
        before = None
        while rows := await store.list_entries(
            connection, one, ledger=opened.id, before=before, limit=2
        ):
            pages.append([entry["number"] for entry in rows])
            before = pages[-1][-1]
        balances = [
            await store.standing_at(
                connection, one, ledger=opened.id, at=NOW + timedelta(seconds=place)
            )
            for place in range(-1, TRANSFERS)
        ]
        nothing = await store.list_entries(connection, idle, ledger=opened.id, before=None, limit=2)
    numbers = [first + place for place in reversed(range(TRANSFERS))]
    assert pages == [numbers[start : start + 2] for start in range(0, TRANSFERS, 2)]
    signs = [-(10**place) if place % 2 else 10**place for place in range(TRANSFERS)]
    assert [stood.balance_fen for stood in balances] == [
        sum(signs[:count]) for count in range(TRANSFERS + 1)
    ]
    assert nothing == []


async def skip_to(ledger: LedgerDatabase, number: int, transfer_count: int) -> int:
    """Let a ledger count as if it held so many transfers; return the next one's number."""
    owner = await asyncpg.connect(ledger.owner_dsn)
    try:
        await owner.execute(
            "update ledger set transfer_count = $2 where id = $1", number, transfer_count
        )
    finally:
        await owner.close()
    return transfer_count + 1
