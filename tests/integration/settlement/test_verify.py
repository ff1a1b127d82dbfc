"""The proof holds on a sound ledger and finds each planted corruption."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest
import pytest_asyncio
from ironloop.settlement.v1 import settlement_events_pb2 as events
from kafka import KafkaProducer

from infra.local.databases import dsn_of
from infra.local.paths import ROOT
from services.settlement.definition import DEFINITION
from services.settlement.events import EVENT_TRANSFERS_MAX
from services.settlement.verify import Broker, Verdict, verify
from tests.integration.settlement.faults import environment_of
from tests.integration.settlement.ledger_client import (
    PENDING,
    POST_PENDING,
    VOID_PENDING,
    LedgerClient,
    codes,
    transfer,
)
from tests.support import servers
from tests.support.world import World

TOPIC = "settlement.ledger.v1"


@dataclass(slots=True)
class Proof:
    """A busy ledger with its broker, and the owner's connection that can corrupt it."""

    world: World
    owner: "asyncpg.Connection[asyncpg.Record]"

    async def verdicts(self) -> dict[str, Verdict]:
        said: list[str] = []
        found = await verify(
            self.world.running["settlement"].runtime.database,
            Broker(self.world.bootstrap, self.world.prefix),
            since=None,
            say=said.append,
        )
        assert said
        return {verdict.check.split()[0]: verdict for verdict in found}

    async def broken(self) -> dict[str, list[str]]:
        """Return what each check that does not hold found, as "subject problem"."""
        return {
            check: [f"{finding.subject} {finding.problem}" for finding in verdict.findings]
            for check, verdict in (await self.verdicts()).items()
            if verdict.findings
        }

    async def row(self, query: str) -> asyncpg.Record:
        """Return the one row of a query."""
        row = await self.owner.fetchrow(query)
        assert row is not None
        return row

    async def corrupt(self, statement: str, *arguments: object) -> None:
        """Change the database by hand, its triggers asleep."""
        async with self.owner.transaction():
            await self.owner.execute("set local session_replication_role = replica")
            await self.owner.execute(statement, *arguments)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def proof(kafka_world: World) -> AsyncIterator[Proof]:
    """Return a ledger on which everything has happened that can."""
    await kafka_world.start(DEFINITION)
    client = LedgerClient(kafka_world, kafka_world.service("finance"))
    payer, payee, third = await client.funded_wallets(3, 10_000)
    holds = [transfer(payer, payee, 100, kind=PENDING) for _ in range(4)]
    await client.post(*holds)
    await client.post(
        transfer(0, 0, 40, kind=POST_PENDING, pending_id=holds[0].id),
        transfer(0, 0, 0, kind=POST_PENDING, pending_id=holds[1].id),
        transfer(0, 0, 0, kind=VOID_PENDING, pending_id=holds[2].id),
        transfer(payer, payee, 50_000),
    )
    mistake = transfer(payer, third, 77)
    await client.post(mistake)
    reversal = transfer(third, payer, 77, code=39, purpose=f"transfers/{mistake.id}")
    assert codes(await client.post(reversal)) == ["CREATED"]
    await client.post(*(transfer(third, payee, 1) for _ in range(EVENT_TRANSFERS_MAX + 1)))
    await kafka_world.until_at_rest()
    dsn = dsn_of(servers.postgres_dsn(), database=kafka_world.databases["settlement"])
    owner = await asyncpg.connect(dsn)
    yield Proof(kafka_world, owner)
    await owner.close()


async def test_a_sound_ledger_is_proved(proof: Proof) -> None:
    verdicts = await proof.verdicts()
    assert not [finding for verdict in verdicts.values() for finding in verdict.findings]
    events_posted = await proof.owner.fetchval("select event_sequence from ledger where id = 1")
    assert verdicts["every"].counted == f"{events_posted} of {events_posted} events"
    transfers = await proof.owner.fetchval("select count(*) from transfer")
    assert verdicts["commits"].counted.startswith(f"{transfers} transfers in ")


async def test_an_altered_amount_is_found(proof: Proof) -> None:
    row = await proof.row(
        "select id, amount from transfer where kind = 1 order by number desc limit 1"
    )
    await proof.corrupt("update transfer set amount = amount + 1 where id = $1", row["id"])
    broken = await proof.broken()
    await proof.corrupt("update transfer set amount = $2 where id = $1", row["id"], row["amount"])
    assert any(line.startswith(f"transfers/{row['id']} was altered") for line in broken["commits"])
    assert len(broken["accounts"]) == 2


async def test_a_deleted_transfer_is_found(proof: Proof) -> None:
    await proof.owner.execute("create table taken as select * from transfer limit 0")
    await proof.corrupt(
        """
        with gone as (delete from transfer where number = (
            select max(number) from transfer where kind = 1) returning *)
        insert into taken select * from gone
        """
    )
    number = await proof.owner.fetchval("select number from taken")
    broken = await proof.broken()
    await proof.corrupt("insert into transfer select * from taken")
    assert f"the first number missing is {number}" in broken["commits"][0]
    assert len(broken["accounts"]) == 2


async def test_a_doubled_transfer_is_found(proof: Proof) -> None:
    double = await proof.owner.fetchval("select uuidv7()")
    await proof.owner.execute(
        "create table doubled as select * from transfer where kind = 1 order by number limit 1"
    )
    await proof.owner.execute("update doubled set id = $1", double)
    await proof.corrupt("insert into transfer select * from doubled")
    broken = await proof.broken()
    await proof.corrupt("delete from transfer where id = $1", double)
    assert any(f"transfers/{double}" in line for line in broken["commits"])
    assert len(broken["accounts"]) == 2


async def test_a_drifted_balance_is_found(proof: Proof) -> None:
    account = await proof.owner.fetchval("select max(id) from account")
    drift = "update account set credits_posted = credits_posted + $2 where id = $1"
    await proof.corrupt(drift, account, 3)
    broken = await proof.broken()
    await proof.corrupt(drift, account, -3)
    assert broken["accounts"][0].startswith(f"accounts/{account} holds")
    assert broken["debits"] == ["ledgers/1 debits less credits: -3 posted, 0 pending"]
    assert set(broken) == {"accounts", "debits"}


async def test_a_hold_resolved_twice_or_by_hand_is_found(proof: Proof) -> None:
    hold = await proof.owner.fetchval("select pending_id from hold where state = 1")
    await proof.corrupt(
        "update hold set state = 3, resolved_by = uuidv7() where pending_id = $1", hold
    )
    broken = await proof.broken()
    await proof.corrupt("update hold set state = 1, resolved_by = null where pending_id = $1", hold)
    assert f"transfers/{hold} is resolved by no transfer" in broken["open"]


async def test_a_lost_outbox_row_is_found(proof: Proof) -> None:
    world = proof.world
    await world.stop("settlement")
    await world.start(DEFINITION, kafka_bootstrap="127.0.0.1:1")
    await world.channel("settlement").channel_ready()
    client = LedgerClient(world, world.service("finance"))
    wallets = await client.funded_wallets(2, 10)
    await client.post(transfer(wallets[0], wallets[1], 1))
    row = await proof.row("select * from outbox order by seq limit 1")
    lost = int(row["headers"].partition('"ce_sequence": "')[2].partition('"')[0])
    await proof.owner.execute("delete from outbox where seq = $1", row["seq"])
    broken = await proof.broken()
    await proof.owner.execute(
        """
        insert into outbox (seq, event_id, topic, key, headers, payload)
        overriding system value values ($1, $2, $3, $4, $5, $6)
        """,
        *row.values(),
    )
    assert broken == {
        "every": [f"ledgers/1/events/{lost} is neither waiting nor published as committed"]
    }
    assert not await proof.broken()


@pytest.mark.parametrize("kind", ["invented", "altered", "garbage"])
async def test_a_forged_event_is_found(proof: Proof, kind: str) -> None:
    last = await proof.owner.fetchval("select event_sequence from ledger where id = 1")
    event = events.TransfersPosted(ledger="ledgers/1", sequence=1, commit=1, first_number=1)
    if kind == "invented":
        event.sequence = last + 1
    payload = b"\xff\xff\xff" if kind == "garbage" else event.SerializeToString()
    await asyncio.to_thread(_publish, proof.world, payload)
    broken = await proof.broken()
    expected = {
        "invented": f"ledgers/1/events/{last + 1} was never committed",
        "altered": "ledgers/1/events/1 the topic holds it with other content than was committed",
        "garbage": "ledgers/1 the topic holds a record that is no event",
    }
    assert expected[kind] in broken["every"]
    assert set(broken) == {"every"}


def _publish(world: World, payload: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=world.bootstrap)
    producer.send(f"{world.prefix}{TOPIC}", key=b"ledgers/1", value=payload).get(timeout=60)
    producer.close()


async def test_the_command_ends_with_one_where_something_is_broken(proof: Proof) -> None:
    settings = environment_of(proof.world.settings_of("settlement"))
    running = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.settlement",
        "verify",
        cwd=ROOT,
        env=settings | {"COLUMNS": "200", "PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, progress = await running.communicate()
    assert running.returncode == 1, progress.decode()
    text = output.decode()
    assert "accounts are the sum of their transfers" in text
    assert "holds a record that is no event" in text
    assert "… reading the topic" in progress.decode()
