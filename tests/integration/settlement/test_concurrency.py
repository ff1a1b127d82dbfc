"""Many connections at one ledger: debits equal credits at every instant, no limit is broken."""

import asyncio
import random
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from services.kit.ids import new_id
from services.kit.principals import enter, service_principal
from services.settlement import handlers, posting, posting_alone, posting_store
from services.settlement.account import AccountKey, AccountKind
from services.settlement.ledger_state import chains
from services.settlement.memory import Memory
from services.settlement.transfer import SUCCESSES, Outcome, ResultCode, Transfer
from tests.integration.settlement.conftest import LedgerDatabase, row

WRITERS = 8
BATCHES_EACH = 25
WALLETS = 6
LEDGERS = frozenset({1})


async def test_a_reader_sees_every_commit_whole_and_resends_never_double(
    ledger: LedgerDatabase,
) -> None:
    enter(service_principal("settlement"), "test")
    keys = [AccountKey(1, AccountKind.BANK, None, str(new_id()))]
    keys += [AccountKey(1, AccountKind.WALLET, new_id(), "") for _ in range(WALLETS)]
    records = await ledger.database.run(lambda tx: handlers.create_accounts(tx, keys))
    bank, *wallets = [record.account.id for record in records]
    await post(ledger, [row(bank, wallet, 100) for wallet in wallets])

    rng = random.Random(20_26)
    sent: dict[str, set[ResultCode]] = {}
    moved: list[Transfer] = []
    done = asyncio.Event()

    async def write(seed: int) -> None:
        own = random.Random(seed)
        history: list[list[Transfer]] = []
        for _ in range(BATCHES_EACH):
            pairs = [own.sample(wallets, 2) for _ in range(own.randint(1, 8))]
            fresh = [
                row(debit, credit, own.randint(1, 40), linked=own.random() < 0.3)
                for debit, credit in pairs
            ]
            fresh[-1] = fresh[-1]._replace(linked=False)
            history.append(own.choice(history) if history and own.random() < 0.3 else fresh)
            batch = history[-1]
            posted = await post(ledger, batch, alone=own.random() < 0.7)
            for transfer, outcome in zip(batch, posted, strict=True):
                sent.setdefault(str(transfer.id), set()).add(outcome.code)
                moved.extend([transfer] if outcome.code is ResultCode.CREATED else [])

    async def watch() -> int:
        looks = 0
        while not done.is_set():
            async with ledger.database.read() as connection:
                sums = await connection.fetchrow(
                    """
                    select sum(debits_posted - credits_posted) as posted,
                        sum(debits_pending - credits_pending) as pending,
                        count(*) filter (where flags & 1 = 1
                            and debits_posted + debits_pending > credits_posted) as broken
                    from account
                    """
                )
            assert sums is not None
            assert tuple(sums) == (0, 0, 0)
            looks += 1
            await asyncio.sleep(0.005)
        return looks

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(write(rng.randrange(10**9)) for _ in range(WRITERS)))
    done.set()
    assert await watching > 5

    assert_answered_once(sent, moved)
    expected = dict.fromkeys(wallets, 100)
    for transfer in moved:
        expected[transfer.debit_account] -= transfer.amount_fen
        expected[transfer.credit_account] += transfer.amount_fen
    async with ledger.database.read() as connection:
        rows = await connection.fetch(
            "select id, credits_posted - debits_posted as balance from account where id = any($1)",
            wallets,
        )
        commits = await connection.fetchrow(
            """
            select count(*), max(sequence), sum(transfer_count), max(first_event + event_count - 1)
            from ledger_commit where ledger = 1
            """
        )
        numbers = await connection.fetchrow(
            "select count(*), max(number), count(distinct number) from transfer where ledger = 1"
        )
        events = await connection.fetch("select headers from outbox order by seq")
    assert {each["id"]: each["balance"] for each in rows} == expected
    assert commits is not None
    assert numbers is not None
    assert commits[0] == commits[1]
    assert commits[2] == numbers[0] == numbers[1] == numbers[2] == len(moved) + WALLETS
    sequences = [int(event["headers"]["ce_sequence"]) for event in events]
    assert sequences == list(range(1, commits[3] + 1))


@pytest.mark.parametrize("between", ["freeze", "post", "refuse"])
async def test_what_comes_between_a_look_and_its_write_is_seen(
    ledger: LedgerDatabase, monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    enter(service_principal("settlement"), "test")
    bank, payer, payee = await open_accounts(ledger)
    await post(ledger, [row(bank, payer, 100)])
    wanted = row(payer, payee, 60)
    look = posting_store.look

    async def look_then(*arguments: Any, **named: Any) -> posting_store.Sight:
        sight = await look(*arguments, **named)
        monkeypatch.setattr(posting_store, "look", look)
        if between == "freeze":
            await freeze(ledger, payer)
        elif between == "post":
            assert (await post(ledger, [row(payer, payee, 50)]))[0].code is ResultCode.CREATED
        else:
            refused = wanted._replace(amount_fen=1_000)
            assert (await post(ledger, [refused]))[0].code is ResultCode.EXCEEDS_CREDITS
        return sight

    monkeypatch.setattr(posting_store, "look", look_then)
    (outcome,) = await post(ledger, [wanted])
    assert (
        outcome.code
        is {
            "freeze": ResultCode.DEBIT_ACCOUNT_FROZEN,
            "post": ResultCode.EXCEEDS_CREDITS,
            "refuse": ResultCode.EXISTS_WITH_DIFFERENT_AMOUNT,
        }[between]
    )


@pytest.mark.parametrize("between", ["nothing", "freeze", "post", "refuse", "known", "new server"])
async def test_what_comes_between_two_commits_of_a_process_is_seen(
    ledger: LedgerDatabase, monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    enter(service_principal("settlement"), "test")
    bank, payer, payee = await open_accounts(ledger)
    memory = Memory()
    await post(ledger, [row(bank, payer, 100), row(payer, payee, 1)], memory=memory)
    wanted = row(payer, payee, 60)
    if between == "nothing":
        monkeypatch.setattr(posting_store, "look", None)  # there is no need for one
    elif between == "freeze":
        await freeze(ledger, payer)
    elif between == "post":
        assert (await post(ledger, [row(payer, payee, 50)]))[0].code is ResultCode.CREATED
    elif between == "refuse":
        refused = wanted._replace(amount_fen=1_000)
        assert (await post(ledger, [refused]))[0].code is ResultCode.EXCEEDS_CREDITS
        await post(ledger, [row(bank, payee, 1)], memory=memory)  # which sees the ledger anew
        await post(ledger, [row(payer, payee, 1)], memory=memory)
    elif between == "known":
        await post(ledger, [wanted], memory=memory)
    else:
        async with ledger.database.read() as connection:
            sight = await posting_store.look(
                connection, 1, accounts=[payer, payee], ids=[wanted.id]
            )
        rich = sight.accounts[payer]._replace(credits_posted=10_000)
        memory.saw(
            sight._replace(
                server_start=sight.server_start - timedelta(days=1),
                accounts=sight.accounts | {payer: rich},
            )
        )
    (outcome,) = await post(ledger, [wanted], memory=memory)
    assert (
        outcome.code
        is {
            "nothing": ResultCode.CREATED,
            "freeze": ResultCode.DEBIT_ACCOUNT_FROZEN,
            "post": ResultCode.EXCEEDS_CREDITS,
            "refuse": ResultCode.EXISTS_WITH_DIFFERENT_AMOUNT,
            "known": ResultCode.EXISTS,
            "new server": ResultCode.CREATED,
        }[between]
    )
    if outcome.code is ResultCode.CREATED:
        assert outcome.posted is not None
        assert outcome.posted.debit.balance_fen == 39


async def open_accounts(ledger: LedgerDatabase) -> list[int]:
    """Open an account of a bank and two wallets."""
    keys = [AccountKey(1, AccountKind.BANK, None, str(new_id()))]
    keys += [AccountKey(1, AccountKind.WALLET, new_id(), "") for _ in range(2)]
    records = await ledger.database.run(lambda tx: handlers.create_accounts(tx, keys))
    return [record.account.id for record in records]


async def freeze(ledger: LedgerDatabase, number: int) -> None:
    """Freeze an account."""
    operator = service_principal("settlement")
    await ledger.database.run(
        lambda tx: handlers.change_state(tx, number, "freeze", etag="", viewer=operator)
    )


def assert_answered_once(sent: dict[str, set[ResultCode]], moved: list[Transfer]) -> None:
    """Assert that every id got one answer, where CREATED and then EXISTS are one success."""
    for codes in sent.values():
        assert len({ResultCode.EXISTS if code in SUCCESSES else code for code in codes}) == 1
    assert max(Counter(transfer.id for transfer in moved).values()) == 1


async def post(
    ledger: LedgerDatabase,
    batch: list[Transfer],
    *,
    alone: bool = True,
    memory: Memory | None = None,
) -> list[Outcome]:
    """Post a batch as the service does, alone or in the course of a transaction."""
    cut = chains(batch)
    if alone:
        return list(
            await posting_alone.post_alone(
                ledger.database, 1, cut, ledgers=LEDGERS, memory=memory or Memory()
            )
        )
    return list(await ledger.database.run(lambda tx: posting.post(tx, 1, cut, ledgers=LEDGERS)))
