"""What settlement costs: beside pgbench's TPC-B, an empty echo, itself called directly.

Each round measures everything once, one after the other, so that what else the machine does
weighs on all of it; ratios are taken within a round. Every rate is held against count(*).
"""

import gc
import random
import time
from dataclasses import asdict, dataclass

import grpc
from rich.progress import Progress

from infra.bench import echo
from infra.bench.ledger_load import SERVICE, Answers, all_at_once, at_pace, p99
from infra.bench.ledger_traffic import Pairs, batches, from_one, parsed_batches, singles, uniform
from infra.bench.report import Figure
from infra.bench.settlement_lab import LARGE, SERVED, SMALL, SettlementLab, open_settlement_lab
from infra.bench.tpcb import Tpcb

BATCH = f"{SERVICE}/PostTransfers"
SINGLE = f"{SERVICE}/PostTransfer"
BATCH_SIZE = 1_000
BATCHES_IN_FLIGHT = 4  # one is written while others are read and answered
SINGLES_IN_FLIGHT = 64
UNARY_TURNS = 2  # of unary calls in a round, each between two of empty ones
WARM_SINGLES = 2_000
WARM_BATCHES = 15  # reach every wallet
SPREAD_MAX = 0.15
NEAR_LIMIT_WALLETS = 200  # so few that each pays several times in a batch


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured; the figures need the default.

    Attributes:
        pgbench_s: Seconds that each TPC-B runs in a round.
        batches: Of 1,000 transfers, in each measurement of a round.
        singles: Unary calls in each turn of a round.
        open_loop_s: Seconds at half of the maximum.
    """

    rounds: int = 5
    pgbench_s: int = 6
    batches: int = 60
    singles: int = 8_000
    open_loop_s: float = 10.0
    accounts: int = 10_000
    large: int = 10_000_000
    small: int = 100_000


@dataclass(slots=True)
class Round:
    """What one round measured; rates a second.

    Attributes:
        direct: Of the posting engine, called without a server around it.
        direct_small: The same on the ledger with 100 k transfers.
        direct_large: The same on the ledger with 10 M transfers.
        relayed: Transfers in events that reached the broker.
    """

    tpcb: float = 0.0
    tpcb_hot: float = 0.0
    echo: float = 0.0
    unary: float = 0.0
    batch: float = 0.0
    direct: float = 0.0
    hot: float = 0.0
    limited: float = 0.0
    unlimited: float = 0.0
    direct_small: float = 0.0
    direct_large: float = 0.0
    relayed: float = 0.0
    p99_ms_batch: float = 0.0
    p99_ms_unary: float = 0.0


async def measure(size: Size | None = None) -> list[Figure]:
    """Measure everything; takes about a quarter of an hour."""
    size = size or Size()
    with Progress(transient=True) as progress:
        task = progress.add_task("settlement: servers, ledgers", total=1 + size.rounds)
        async with open_settlement_lab(
            accounts=size.accounts, large=size.large, small=size.small
        ) as lab:
            yardsticks = Tpcb(lab.lab.server_dsn, scale=10), Tpcb(lab.lab.server_dsn, scale=1)
            for yardstick in yardsticks:
                await yardstick.prepare()
            rounds = []
            async with lab.lab.channel("echo") as empty, lab.lab.channel("settlement") as served:
                await _Round(lab, size, empty, served).warm_up()
                for number in range(1, size.rounds + 1):
                    progress.update(task, advance=1, description=f"settlement: round {number}")
                    rounds.append(await _Round(lab, size, empty, served).run(*yardsticks))
                    progress.console.print(f"round {number}: {_in_words(rounds[-1])}")
            verify_s = await lab.verify_s(LARGE)
    return [
        *_figures(rounds),
        # Once: it reads ten million transfers, and they do not change from round to round.
        Figure("verify_10m_s", "s", [verify_s], must=120, aim=60, is_at_least=False),
    ]


def _figures(rounds: list[Round]) -> list[Figure]:
    def ratio(name: str, over: str, under: str, *, must: float, aim: float) -> Figure:
        values = [getattr(each, over) / getattr(each, under) for each in rounds]
        # Cost is the inverse of a rate, and less of it is better.
        return Figure(
            name, "ratio", values, must=must, aim=aim, is_at_least=aim > must, spread_max=SPREAD_MAX
        )

    def plain(name: str, unit: str, attribute: str) -> Figure:
        return Figure(name, unit, [getattr(each, attribute) for each in rounds])

    def delay(name: str, attribute: str, *, must: float) -> Figure:
        values = [getattr(each, attribute) for each in rounds]
        return Figure(name, "ms", values, must=must, aim=must / 2, is_at_least=False)

    return [
        ratio("post_batch_over_tpcb", "batch", "tpcb", must=6, aim=10),
        ratio("grpc_over_direct", "batch", "direct", must=0.85, aim=0.95),
        ratio("unary_over_echo", "unary", "echo", must=0.6, aim=0.9),
        ratio("hot_over_uniform", "hot", "batch", must=0.9, aim=1.0),
        ratio("limited_over_unlimited", "limited", "unlimited", must=0.5, aim=0.8),
        ratio("cost_10m_over_100k", "direct_small", "direct_large", must=1.25, aim=1.1),
        ratio("relay_over_posting", "relayed", "batch", must=2, aim=5),
        delay("open_loop_p99_ms_batch", "p99_ms_batch", must=100),
        delay("open_loop_p99_ms_unary", "p99_ms_unary", must=25),
        plain("tpcb", "transactions/s", "tpcb"),
        plain("tpcb_hot_row", "transactions/s", "tpcb_hot"),
        plain("echo", "calls/s", "echo"),
        plain("post_batch", "transfers/s", "batch"),
        plain("post_batch_hot", "transfers/s", "hot"),
        plain("post_batch_limited", "transfers/s", "limited"),
        plain("post_batch_unlimited", "transfers/s", "unlimited"),
        plain("direct", "transfers/s", "direct"),
        plain("direct_100k", "transfers/s", "direct_small"),
        plain("direct_10m", "transfers/s", "direct_large"),
        plain("unary", "transfers/s", "unary"),
        plain("relay", "transfers/s", "relayed"),
    ]


def _in_words(measured: Round) -> str:
    return ", ".join(f"{name} {value:,.0f}" for name, value in asdict(measured).items())


class _Round:
    """One round's measurements."""

    def __init__(
        self,
        lab: SettlementLab,
        size: Size,
        empty: grpc.aio.Channel,
        served: grpc.aio.Channel,
    ) -> None:
        self._lab = lab
        self._size = size
        self._empty = empty
        self._served = served

    async def warm_up(self) -> None:
        """Let connections, plans and caches come to be."""
        pairs = uniform(self._lab.wallets)
        await self._echo_s(WARM_SINGLES)
        await self._batches(batches(WARM_BATCHES, BATCH_SIZE, pairs))
        await self._unary(singles(WARM_SINGLES, pairs))
        for database in (SMALL, LARGE, SERVED):
            await self._direct(database, 3)
        await self._lab.drain()

    async def run(self, tpcb: Tpcb, tpcb_hot: Tpcb) -> Round:
        """Measure everything once."""
        lab, size, measured = self._lab, self._size, Round()
        measured.tpcb = await tpcb.per_second(size.pgbench_s)
        measured.batch = await self._batches(self._uniform())
        measured.direct = await self._direct(SERVED, size.batches)
        hot = from_one(lab.wallets[0], lab.wallets[1:])
        measured.hot = await self._batches(batches(size.batches, BATCH_SIZE, hot))
        measured.tpcb_hot = await tpcb_hot.per_second(size.pgbench_s)
        measured.echo, measured.unary = await self._unary_between_echoes()
        measured.limited = await self._batches(self._half_near_limit())
        unlimited = uniform(lab.unlimited)
        measured.unlimited = await self._batches(batches(size.batches, BATCH_SIZE, unlimited))
        measured.direct_small = await self._direct(SMALL, size.batches)
        measured.direct_large = await self._direct(LARGE, size.batches)
        events, took_s = await lab.drain()
        measured.relayed = size.batches * BATCH_SIZE / took_s
        assert events == size.batches * 2, f"{events} events of {size.batches} commits"
        measured.p99_ms_batch = await self._batches_at_pace(measured.batch / BATCH_SIZE / 2)
        measured.p99_ms_unary = await self._unary_at_pace(measured.unary / 2)
        return measured

    def _uniform(self) -> list[bytes]:
        return batches(self._size.batches, BATCH_SIZE, uniform(self._lab.wallets))

    def _half_near_limit(self) -> list[bytes]:
        few: Pairs = uniform(self._lab.near_limit[:NEAR_LIMIT_WALLETS])
        half = self._size.batches // 2
        mixed = batches(half, BATCH_SIZE, few)
        mixed += batches(self._size.batches - half, BATCH_SIZE, uniform(self._lab.wallets))
        random.shuffle(mixed)
        return mixed

    async def _unary_between_echoes(self) -> tuple[float, float]:
        """Return the echo's calls a second and the transfers a second of unary calls.

        They take turns: from second to second an empty echo's own rate swings by a third, as its
        two processes find the two cores, and one turn of a second each compares two accidents.
        """
        count = self._size.singles
        echo_s, unary_s = await self._echo_s(count), 0.0
        for _ in range(UNARY_TURNS):
            unary_s += count / await self._unary(singles(count, uniform(self._lab.wallets)))
            echo_s += await self._echo_s(count)
        return count * (UNARY_TURNS + 1) / echo_s, count * UNARY_TURNS / unary_s

    async def _echo_s(self, count: int) -> float:
        """Return how many seconds so many empty calls take."""
        await self._at_rest()
        took_s, _ = await all_at_once(
            self._empty, echo.PATH, [b""] * count, metadata=(), in_flight=SINGLES_IN_FLIGHT
        )
        return took_s

    async def _batches(self, requests: list[bytes]) -> float:
        """Return transfers a second, from the first request to the last answer."""
        before = await self._at_rest()
        took_s, raws = await all_at_once(
            self._served,
            BATCH,
            requests,
            metadata=self._lab.metadata,
            in_flight=BATCHES_IN_FLIGHT,
        )
        answers = Answers()
        for raw in raws:
            answers.batch(raw)
        await self._check(before, answers, sent=len(requests) * BATCH_SIZE)
        return answers.codes.total() / took_s

    async def _unary(self, requests: list[bytes]) -> float:
        before = await self._at_rest()
        took_s, raws = await all_at_once(
            self._served,
            SINGLE,
            requests,
            metadata=self._lab.metadata,
            in_flight=SINGLES_IN_FLIGHT,
        )
        answers = Answers()
        for raw in raws:
            answers.single(raw)
        await self._check(before, answers, sent=len(requests))
        return len(requests) / took_s

    async def _direct(self, database: str, count: int) -> float:
        """Return transfers a second of the posting engine itself, one commit after the other."""
        lab = self._lab
        accounts = lab.wallets if database == SERVED else lab.unlimited
        made = parsed_batches(count, BATCH_SIZE, uniform(accounts))
        before = await self._at_rest(database)
        engine = lab.engines[database]
        answers = Answers()
        took_s = -time.perf_counter()
        for batch in made:
            outcomes = await engine.post(batch)
            answers.codes.update(int(outcome.code) for outcome in outcomes)
        took_s += time.perf_counter()
        await self._check(before, answers, sent=count * BATCH_SIZE, database=database)
        return count * BATCH_SIZE / took_s

    async def _batches_at_pace(self, per_second: float) -> float:
        count = max(2, int(per_second * self._size.open_loop_s))
        requests = batches(count, BATCH_SIZE, uniform(self._lab.wallets))
        before = await self._at_rest()
        took_ms, raws = await at_pace(
            self._served, BATCH, requests, metadata=self._lab.metadata, per_second=per_second
        )
        answers = Answers()
        for raw in raws:
            answers.batch(raw)
        await self._check(before, answers, sent=count * BATCH_SIZE)
        return p99(took_ms)

    async def _unary_at_pace(self, per_second: float) -> float:
        count = max(2, int(per_second * self._size.open_loop_s))
        requests = singles(count, uniform(self._lab.wallets))
        before = await self._at_rest()
        took_ms, raws = await at_pace(
            self._served, SINGLE, requests, metadata=self._lab.metadata, per_second=per_second
        )
        answers = Answers()
        for raw in raws:
            answers.single(raw)
        await self._check(before, answers, sent=count)
        return p99(took_ms)

    async def _at_rest(self, database: str = SERVED) -> tuple[int, int]:
        """Return what a ledger holds once what was measured before weighs on nothing."""
        await self._lab.until_published()
        gc.collect()
        return await self._lab.counts(database)

    async def _check(
        self, before: tuple[int, int], answers: Answers, *, sent: int, database: str = SERVED
    ) -> None:
        """Hold the answers against what the ledger holds.

        Raises:
            AssertionError: A rate would be one of answers, not of transfers.
        """
        transfers, refusals = await self._lab.counts(database)
        counted = (transfers - before[0], refusals - before[1])
        told = (answers.created, answers.refused)
        assert counted == told, f"count(*) grew by {counted}, the answers say {told}"
        assert sum(told) == sent, f"{sum(told)} of {sent} transfers were answered"
