"""Literals say what parameters would have said, and what travels with COMMIT arrives whole."""

from datetime import UTC, date, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ironloop.parties.v1 import parties_events_pb2

from services.kit.literals import literal
from services.kit.prepared import Call, text_of
from services.kit.transaction import LITERALS_BYTES_MAX, StatementPassedOver, Transaction
from tests.integration.kit.probe import Probe

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60)
HOSTILE = "'; drop table outbox; -- \\' $1 $2 \\x00 E'\\n' \"x\" ''"


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=TEXTS, content=st.binary(max_size=60), headers=st.dictionaries(TEXTS, TEXTS))
async def test_a_literal_is_read_as_the_value(
    probe: Probe, text: str, content: bytes, headers: dict[str, str]
) -> None:
    await _assert_same(probe, text, content, headers, uuid4())


async def test_an_empty_list_is_an_empty_array(probe: Probe) -> None:
    async with probe.database.read() as connection:
        call = Call("select $1::text[] as texts", [[]])
        assert await connection.fetchval(await text_of(connection, call)) == []


async def test_a_hostile_text_is_only_a_text(probe: Probe) -> None:
    await _assert_same(probe, HOSTILE, HOSTILE.encode(), {HOSTILE: HOSTILE}, uuid4())


async def _assert_same(
    probe: Probe, text: str, content: bytes, headers: dict[str, str], identifier: UUID
) -> None:
    statement = """
        select $1::text as text, $2::bytea as content, $3::jsonb as headers, $4::uuid as id,
            $5::text[] as texts, $6::bytea as absent
    """
    arguments = (text, content, headers, identifier, [text, "$1"], None)
    async with probe.database.read() as connection:
        row = await connection.fetchrow(await text_of(connection, Call(statement, arguments)))
    assert row is not None
    assert tuple(row.values()) == arguments


@pytest.mark.parametrize("number", [0, 7, -7, 2**63 - 1])
async def test_numbers_instants_and_dates_are_read_as_they_are(probe: Probe, number: int) -> None:
    at, on = datetime(2026, 2, 28, 23, 59, 59, 123456, tzinfo=UTC), date(2024, 2, 29)
    statement = "select 1 -$1::bigint as n, $2::timestamptz as at, $3::date as on_day"
    call = Call(statement, [number, at, on])
    async with probe.database.read() as connection:
        row = await connection.fetchrow(await text_of(connection, call))
    assert row is not None
    assert tuple(row.values()) == (1 - number, at, on)


async def test_a_statement_is_prepared_once_a_connection_and_outlives_a_rollback(
    probe: Probe,
) -> None:
    call = Call("select $1::int + 1 as one_more", [41])
    async with probe.database.read() as connection:
        await connection.execute("begin")
        text = await text_of(connection, call)
        await connection.execute("rollback")
        assert await text_of(connection, call) == text
        assert await connection.fetchval(text) == 42


async def test_a_statement_that_could_not_be_prepared_is_tried_under_another_name(
    probe: Probe,
) -> None:
    call = Call("select a from made_later where a = $1", [7])
    async with probe.database.read() as connection:
        with pytest.raises(asyncpg.UndefinedTableError):
            await text_of(connection, call)
        await connection.execute("create temporary table made_later as select 7 as a")
        assert await connection.fetchval(await text_of(connection, call)) == 7


def test_what_has_no_literal_is_refused() -> None:
    with pytest.raises(TypeError, match="float"):
        literal(1.5)
    with pytest.raises(TypeError, match="bool"):
        literal(True)
    with pytest.raises(ValueError, match="U\\+0000"):
        literal("a\0b")


@pytest.mark.parametrize("size", [10, LITERALS_BYTES_MAX + 1])
async def test_events_small_and_large_are_written_with_the_commit(probe: Probe, size: int) -> None:
    name = f"parties/{uuid4()}"

    async def tell(tx: Transaction) -> None:
        for sequence in (1, 2):
            await tx.emit(
                parties_events_pb2.PartyRegistered(
                    party=name, sequence=sequence, legal_name="n" * size
                )
            )

    await probe.database.run(tell)
    async with probe.database.read() as connection:
        rows = await connection.fetch(
            "select payload from outbox where key = $1 order by seq", name
        )
    told = [parties_events_pb2.PartyRegistered.FromString(row["payload"]) for row in rows]
    assert [(one.sequence, len(one.legal_name)) for one in told] == [(1, size), (2, size)]


async def test_a_failed_statement_that_was_passed_over_commits_nothing(probe: Probe) -> None:
    key = f"parties/{uuid4()}"

    async def careless(tx: Transaction) -> None:
        await tx.emit(parties_events_pb2.PartyRegistered(party=key, sequence=1))
        try:
            await tx.connection.execute("select 1 / 0")
        except asyncpg.DivisionByZeroError:
            return

    with pytest.raises((StatementPassedOver, asyncpg.InFailedSQLTransactionError)):
        await probe.database.run(careless)

    async def silent(tx: Transaction) -> None:
        try:
            await tx.connection.execute("select 1 / 0")
        except asyncpg.DivisionByZeroError:
            return

    with pytest.raises(StatementPassedOver):
        await probe.database.run(silent)
    async with probe.database.read() as connection:
        assert await connection.fetchval("select count(*) from outbox where key = $1", key) == 0


async def test_what_is_to_be_written_last_is_undone_with_its_block(probe: Probe) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    statement = """
        insert into inbox (consumer, event_id, topic, key, sequence, create_time)
        values ($1, $2, 'topic', 'key', $3, $4)
    """
    kept, undone = uuid4(), uuid4()

    async def write(tx: Transaction) -> None:
        tx.write_last(statement, "last", kept, 1, at)
        with pytest.raises(ZeroDivisionError):
            async with tx.savepoint():
                tx.write_last(statement, "last", undone, 2, at)
                raise ZeroDivisionError

    await probe.database.run(write)
    async with probe.database.read() as connection:
        rows = await connection.fetch("select event_id from inbox where consumer = 'last'")
    assert [row["event_id"] for row in rows] == [kept]
