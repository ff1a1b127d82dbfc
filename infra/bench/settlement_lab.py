"""Settlement as it runs in the stack, and two ledgers without a service: one small, one large."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import grpc
from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc
from kafka import KafkaConsumer, TopicPartition

from infra.bench.lab import PASSWORD, Lab, open_lab
from infra.bench.ledger_fill import fill
from infra.local.client import AuthorisedChannel
from infra.local.databases import dsn_of, ensure_database, ensure_role, role_of
from infra.local.kafka import create_topics
from infra.local.processes import free_port
from services.kit.clients import CHANNEL_OPTIONS
from services.kit.clock import BusinessClock
from services.kit.contract import dead_letter_topic, event_of
from services.kit.database import Database
from services.kit.ids import new_id
from services.kit.kafka_log import KafkaEventLog
from services.kit.relay import Relay
from services.settlement.engine import Engine
from services.settlement.events import PRODUCES
from services.settlement.verify import Broker, verify

SERVED = "settlement"  # the database that the service serves
SMALL, LARGE = "settlement_small", "settlement_large"
TOPIC = event_of(PRODUCES[0].DESCRIPTOR).topic
DRAIN_PREFIX = "drain."  # the relay is measured into a topic of its own
ACCOUNTS_IN_CALL = 1_000
QUEUED_MAX = 32_768  # the service's own
FUNDS_FEN = 10**12  # no wallet of the uniform load comes near it
NEAR_LIMIT_FUNDS_FEN = 150
REST_WITHIN_S = 120.0
ANSWERS_WITHIN_S = 60.0
POLL_S = 0.02


@dataclass(slots=True)
class SettlementLab:
    """What is measured.

    Attributes:
        unlimited: Accounts that may go either way.
        wallets: Limited accounts with more than enough in them.
        near_limit: Limited accounts that hold about as much as a batch asks of each.
        engines: Posting engines by database, called without a server around them.
    """

    lab: Lab
    unlimited: list[int] = field(default_factory=list)
    wallets: list[int] = field(default_factory=list)
    near_limit: list[int] = field(default_factory=list)
    engines: dict[str, Engine] = field(default_factory=dict)

    @property
    def metadata(self) -> list[tuple[str, str]]:
        """Return what authorises the bench's calls."""
        return [("authorization", f"Bearer {self.lab.token}")]

    async def counts(self, database: str = SERVED) -> tuple[int, int]:
        """Return how many transfers and stored refusals a ledger holds."""
        owner = await asyncpg.connect(self.lab.owner_dsn(database))
        try:
            row = await owner.fetchrow(
                "select (select count(*) from transfer) as transfers, "
                "(select count(*) from rejection) as refusals"
            )
            assert row is not None
            return row["transfers"], row["refusals"]
        finally:
            await owner.close()

    async def until_published(self) -> None:
        """Return once the service's events have left its outbox.

        Raises:
            TimeoutError: They do not within two minutes.
        """
        await _until_empty(self.lab.owner_dsn(SERVED))

    async def drain(self) -> tuple[int, float]:
        """Relay what waits in the small ledger; return how many events, and the seconds."""
        owner = await asyncpg.connect(self.lab.owner_dsn(SMALL))
        waiting: int = await owner.fetchval("select count(*) from outbox")
        await owner.close()
        before = await asyncio.to_thread(self._published)
        log = KafkaEventLog(self.lab.bootstrap, client_id="bench", prefix=DRAIN_PREFIX)
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        relay = asyncio.create_task(Relay(_role_dsn(self.lab, SMALL), log).run())
        try:
            await _until_empty(self.lab.owner_dsn(SMALL))
        finally:
            took_s = loop.time() - started_s
            relay.cancel()
            await log.close()
        published = await asyncio.to_thread(self._published) - before
        assert published == waiting, f"{published} of {waiting} events are in the topic"
        return waiting, took_s

    async def verify_s(self, database: str) -> float:
        """Return how long the proof of a ledger takes; its events are not looked at.

        Raises:
            AssertionError: The ledger is not sound.
        """
        async with _database(self.lab, database) as opened:
            started_s = time.perf_counter()
            verdicts = await verify(opened, Broker("", ""), since=None, say=lambda _: None)
            took_s = time.perf_counter() - started_s
        broken = [finding for verdict in verdicts for finding in verdict.findings]
        assert not broken, f"{database} is not sound: {broken[0]}"
        return took_s

    def _published(self) -> int:
        consumer = KafkaConsumer(bootstrap_servers=self.lab.bootstrap)
        try:
            topic = DRAIN_PREFIX + TOPIC
            parts = [TopicPartition(topic, part) for part in consumer.partitions_for_topic(topic)]
            return sum(consumer.end_offsets(parts).values())
        finally:
            consumer.close()


@asynccontextmanager
async def open_settlement_lab(
    *, accounts: int, large: int, small: int
) -> AsyncIterator[SettlementLab]:
    """Hold a lab open.

    Args:
        accounts: How many of each sort.
        large: Transfers in the large ledger.
        small: Transfers in the small one.
    """
    async with open_lab() as lab, AsyncExitStack() as stack:
        opened = SettlementLab(lab)
        await ensure_role(lab.server_dsn, "settlement", password=PASSWORD)
        for database in (SERVED, SMALL, LARGE):
            await ensure_database(lab.server_dsn, "settlement", database=database)
        topics = [TOPIC, dead_letter_topic(TOPIC), DRAIN_PREFIX + TOPIC]
        await asyncio.to_thread(create_topics, lab.bootstrap, topics)
        await _serve(lab)
        await _open_accounts(opened, accounts)
        for database, count in ((SMALL, small), (LARGE, large)):
            await _copy_accounts(lab, database)
            await fill(
                lab.owner_dsn(database),
                count,
                first_account=opened.unlimited[0],
                accounts=accounts,
            )
        for database in (SERVED, SMALL, LARGE):
            opened.engines[database] = await stack.enter_async_context(_engine(lab, database))
        yield opened


@asynccontextmanager
async def _engine(lab: Lab, database: str) -> AsyncIterator[Engine]:
    """Hold an engine open on a database, with the rights that the service has."""
    async with _database(lab, database) as opened:
        engine = Engine(opened, queued_max=QUEUED_MAX)
        lanes = asyncio.create_task(engine.lanes.run())
        try:
            yield engine
        finally:
            lanes.cancel()


def _database(lab: Lab, database: str) -> AbstractAsyncContextManager[Database]:
    return Database.open(
        _role_dsn(lab, database),
        service="settlement",
        clock=BusinessClock(),
        size_max=2,
        statement_timeout_ms=15_000,
    )


def _role_dsn(lab: Lab, database: str) -> str:
    """Return the DSN of settlement's own role: the rights it has are part of what is measured."""
    user = role_of("settlement")
    return dsn_of(lab.server_dsn, database=database, user=user, password=PASSWORD)


async def _serve(lab: Lab) -> None:
    """Start the service as the stack starts it, relay and broker included."""
    lab.ports["settlement"] = free_port()
    lab.run(
        "settlement",
        "services.settlement",
        environment="local",
        page_token_key="k" * 32,
        kafka_bootstrap=lab.bootstrap,
        listen=f"127.0.0.1:{lab.ports['settlement']}",
        postgres_dsn=_role_dsn(lab, SERVED),
        pool_size_max="16",
        jwks_url=f"http://127.0.0.1:{lab.http_port}/.well-known/jwks.json",
        peers=json.dumps({}),
        drain_s="1",
    )
    async with lab.channel("settlement") as channel, asyncio.timeout(ANSWERS_WITHIN_S):
        await channel.channel_ready()


async def _open_accounts(opened: SettlementLab, count: int) -> None:
    address = f"127.0.0.1:{opened.lab.ports['settlement']}"
    async with grpc.aio.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        authorised: Any = AuthorisedChannel(channel, opened.lab.token)
        ledger: settlement_pb2_grpc.SettlementServiceAsyncStub
        ledger = settlement_pb2_grpc.SettlementServiceStub(authorised)
        bank, wallet = settlement_pb2.ACCOUNT_KIND_BANK, settlement_pb2.ACCOUNT_KIND_WALLET
        for kind, reference, numbers, funds_fen in (
            (bank, "bench", opened.unlimited, 0),
            (wallet, "funded", opened.wallets, FUNDS_FEN),
            (wallet, "near", opened.near_limit, NEAR_LIMIT_FUNDS_FEN),
        ):
            for start in range(0, count, ACCOUNTS_IN_CALL):
                keys = [
                    settlement_pb2.NewAccount(
                        kind=kind,
                        owner=f"parties/{new_id()}" if kind == wallet else "",
                        reference=f"{reference}/{number}",
                    )
                    for number in range(start, min(start + ACCOUNTS_IN_CALL, count))
                ]
                answer = await ledger.CreateAccounts(
                    settlement_pb2.CreateAccountsRequest(accounts=keys)
                )
                made = [account.number for account in answer.accounts]
                numbers.extend(made)
                if funds_fen:
                    await _fund(ledger, opened.unlimited[0], made, funds_fen)


async def _fund(
    ledger: "settlement_pb2_grpc.SettlementServiceAsyncStub",
    bank: int,
    wallets: list[int],
    amount_fen: int,
) -> None:
    rows = [
        settlement_pb2.Transfer(
            id=str(new_id()),
            debit_account=bank,
            credit_account=wallet,
            amount_fen=amount_fen,
            kind=settlement_pb2.TRANSFER_KIND_POSTED,
            code=settlement_pb2.TRANSFER_CODE_FUND_WALLET,
            purpose="ledgers/1",
        )
        for wallet in wallets
    ]
    answer = await ledger.PostTransfers(settlement_pb2.PostTransfersRequest(transfers=rows))
    assert all(result.code == settlement_pb2.RESULT_CODE_CREATED for result in answer.results)


async def _copy_accounts(lab: Lab, database: str) -> None:
    """Give another ledger the unlimited accounts of the one that is served."""
    source = await asyncpg.connect(lab.owner_dsn(SERVED))
    target = await asyncpg.connect(lab.owner_dsn(database))
    try:
        rows = await source.fetch("select * from account where flags = 0")
        columns = ("id", "ledger", "code", "flags", "owner", "reference", "create_time")
        await target.copy_records_to_table(
            "account",
            records=[(*(row[name] for name in columns), row["create_time"]) for row in rows],
            columns=[*columns, "update_time"],
        )
    finally:
        await source.close()
        await target.close()


async def _until_empty(owner_dsn: str) -> None:
    owner = await asyncpg.connect(owner_dsn)
    try:
        async with asyncio.timeout(REST_WITHIN_S):
            while await owner.fetchval("select exists (select from outbox)"):  # noqa: ASYNC110
                await asyncio.sleep(POLL_S)
    finally:
        await owner.close()
