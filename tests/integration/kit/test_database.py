"""Transactions: what commits, what is tried again, what counts as away."""

import asyncio

import asyncpg
import pytest

from services.kit.database import Contention, DatabaseUnavailable
from services.kit.principals import enter
from services.kit.transaction import MAY_GO_BACK, Transaction
from tests.integration.kit.probe import CALLER, METHOD, Probe, open_probe


async def test_what_fails_leaves_nothing(probe: Probe) -> None:
    async def failing(tx: Transaction) -> None:
        await probe.bump(tx, "one")
        raise LookupError("a defect")

    with pytest.raises(LookupError):
        await probe.database.run(failing)
    assert await probe.ask("select count(*) from counter") == 0
    assert await probe.ask("select count(*) from outbox") == 0


async def test_a_savepoint_undoes_rows_events_and_sagas_of_its_block_only(probe: Probe) -> None:
    enter(CALLER, METHOD)

    async def work(tx: Transaction) -> None:
        await probe.bump(tx, "kept")
        with pytest.raises(LookupError):
            async with tx.savepoint():
                await probe.bump(tx, "undone")
                await tx.start_saga("test", "undone")
                raise LookupError("a refused row")
        await probe.bump(tx, "kept")
        assert not tx.started

    await probe.database.run(work)
    assert await probe.ask("select array_agg(key) from counter") == ["kept"]
    assert await probe.ask("select array_agg(key order by seq) from outbox") == ["kept", "kept"]
    assert await probe.ask("select count(*) from saga") == 0


async def test_deadlocks_are_tried_again(probe: Probe) -> None:
    tries: list[str] = []
    met = asyncio.Barrier(2)

    async def both(tx: Transaction, first: str, second: str) -> None:
        tries.append(first)
        await probe.bump(tx, first)
        if len(tries) <= 2:
            await met.wait()
        await probe.bump(tx, second)

    await asyncio.gather(
        probe.database.run(lambda tx: both(tx, "a", "b")),
        probe.database.run(lambda tx: both(tx, "b", "a")),
    )
    assert len(tries) == 3, "no deadlock came about"
    assert await probe.ask("select array_agg(effects) from counter") == [2, 2]


async def test_endless_contention_is_told_as_such(probe: Probe) -> None:
    async def losing(_: Transaction) -> None:
        raise asyncpg.SerializationError("could not serialize access")

    with pytest.raises(Contention):
        await probe.database.run(losing)


async def test_a_slow_statement_is_cut() -> None:
    async with open_probe(statement_timeout_ms=100) as probe:
        with pytest.raises(DatabaseUnavailable):
            await probe.ask("select pg_sleep(5)")
        assert await probe.ask("select 1") == 1


async def test_an_argument_that_does_not_fit_is_a_defect_and_not_an_outage(probe: Probe) -> None:
    with pytest.raises(asyncpg.DataError):
        await probe.ask("select $1::int", 2**40)
    with pytest.raises(asyncpg.InterfaceError):
        await probe.ask("select $1::int, $2::int", 1)


async def test_lost_connections_are_replaced(probe: Probe) -> None:
    assert await probe.ask("select 1") == 1
    with pytest.raises(DatabaseUnavailable):
        await probe.ask("select pg_terminate_backend(pg_backend_pid())")
    assert await probe.ask("select 1") == 1


async def test_a_full_pool_answers_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.kit.database.ACQUIRE_TIMEOUT_S", 0.1)
    async with open_probe(size_max=1) as probe:
        async with probe.database.read():
            with pytest.raises(DatabaseUnavailable):
                await probe.ask("select 1")
        assert await probe.ask("select 1") == 1


async def test_a_transaction_may_go_back_to_its_opening(probe: Probe) -> None:
    async def work(tx: Transaction) -> None:
        await probe.bump(tx, "undone")
        with pytest.raises(asyncpg.DivisionByZeroError):
            await tx.connection.execute("select 1 / 0")
        await tx.go_back()
        await probe.bump(tx, "kept")

    await probe.database.run(work, opening=MAY_GO_BACK)
    assert await probe.ask("select array_agg(key) from counter") == ["kept"]
    assert await probe.ask("select array_agg(key) from outbox") == ["kept"]


async def test_what_a_transaction_failed_of_is_told_where_it_cannot_be_rolled_back(
    probe: Probe,
) -> None:
    begun: list[asyncio.Task[str]] = []

    async def leaves_a_statement_under_way(tx: Transaction) -> None:
        await probe.bump(tx, "one")
        begun.append(asyncio.create_task(tx.connection.execute("select pg_sleep(60)")))
        await asyncio.sleep(0)
        raise LookupError("a defect")

    with pytest.raises(LookupError):
        await probe.database.run(leaves_a_statement_under_way)
    await asyncio.gather(*begun, return_exceptions=True)
    assert await probe.ask("select count(*) from counter") == 0
    await probe.database.run(lambda tx: probe.bump(tx, "one"))
    assert await probe.ask("select effects from counter") == 1
