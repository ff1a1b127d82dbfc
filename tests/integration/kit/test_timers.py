"""Timers: each fires once, at its time, and a bad one holds nothing up."""

import asyncio
from collections.abc import Mapping
from datetime import date, datetime, timedelta

import pytest
from ironloop.kit.v1 import operator_pb2

from services.kit import timer_runner, wire
from services.kit.clock import business_date
from services.kit.errors import PreconditionFailed, Unavailable
from services.kit.operator import (
    BusinessDateBackwards,
    NotLocal,
    OperatorRpc,
    read_days_ahead,
)
from services.kit.saga_runner import SagaRunner
from services.kit.timer_runner import TimerRunner
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from tests.integration.kit.probe import SERVICE, Probe, until


class Bell:
    """Handlers of timers, and what they saw.

    Attributes:
        rung: (subject, business date) of each timer that had an effect.
    """

    def __init__(self, probe: Probe) -> None:
        self.probe = probe
        self.rung: list[tuple[str, date]] = []
        self.errors: dict[str, Exception] = {}
        self.runner = TimerRunner(
            probe.database,
            {"ring": self.ring, "daily": self.daily, "spin": self.spin},
            service=SERVICE,
        )

    async def ring(self, tx: Transaction, timer: Timer) -> None:
        """Ring once."""
        await tx.connection.execute(
            "insert into seen (key, sequence) values ($1, 1)", timer.subject
        )
        if error := self.errors.get(timer.subject):
            raise error
        self.rung.append((timer.subject, tx.today))

    async def daily(self, tx: Transaction, timer: Timer) -> None:
        """Ring, and again in a day, three times in all."""
        left = timer.payload["left"]
        self.rung.append((timer.subject, tx.today))
        if left > 1:
            await tx.set_timer(
                "daily",
                timer.subject,
                due_at=timer.due_at + timedelta(days=1),
                payload={"left": left - 1},
            )

    async def spin(self, tx: Transaction, timer: Timer) -> None:
        """Never get anywhere."""
        await tx.set_timer("spin", timer.subject, due_at=timer.due_at)

    async def set(
        self, subject: str, *, in_days: float, kind: str = "ring", payload: Mapping[str, int] = {}
    ) -> datetime:
        """Set a timer."""
        due_at = self.probe.clock.now() + timedelta(days=in_days)
        await self.probe.database.run(
            lambda tx: tx.set_timer(kind, subject, due_at=due_at, payload=payload)
        )
        return due_at

    async def left(self) -> list[str]:
        """Return the subjects of the timers that are set."""
        found = await self.probe.ask("select array_agg(subject order by due_at) from timer")
        return list(found or [])

    def operator(self) -> OperatorRpc:
        """Return the operator's rpc over these timers."""
        runtime = self.probe.runtime()
        return OperatorRpc(runtime, self.runner, SagaRunner(runtime, {}), None)

    async def advance(self, days: int) -> int:
        """Move the business date, and return how many timers fired."""
        request = operator_pb2.AdvanceBusinessDateRequest(
            business_date=wire.date(self.probe.clock.today() + timedelta(days=days))
        )
        return (await self.operator().AdvanceBusinessDate(request, None)).timers_fired


@pytest.fixture
def bell(probe: Probe) -> Bell:
    return Bell(probe)


async def test_a_timer_fires_once_and_not_before_its_time(bell: Bell) -> None:
    await bell.set("now", in_days=-0.1)
    await bell.set("later", in_days=1)
    assert await bell.runner.drain() == 1
    assert await bell.runner.drain() == 0
    assert [subject for subject, _ in bell.rung] == ["now"]
    assert await bell.left() == ["later"]


async def test_a_timer_set_again_moves_and_a_cancelled_one_is_silent(bell: Bell) -> None:
    await bell.set("moved", in_days=-1)
    await bell.set("moved", in_days=5)
    await bell.set("cancelled", in_days=-1)
    await bell.probe.database.run(lambda tx: tx.cancel_timers("cancelled", kind="ring"))
    assert await bell.runner.drain() == 0
    assert await bell.left() == ["moved"]


async def test_a_timer_set_with_the_commit_is_set_like_any_other(bell: Bell) -> None:
    now = bell.probe.clock.now()

    async def work(tx: Transaction) -> None:
        for days, kind, payload in ((-1, "daily", {"left": 1}), (5, "ring", None)):
            due_at = now + timedelta(days=days)
            await tx.set_timer(kind, "it's", due_at=due_at, payload=payload, at_end=True)

    await bell.probe.database.run(work)
    assert await bell.runner.drain() == 1
    assert [subject for subject, _ in bell.rung] == ["it's"]
    assert await bell.left() == ["it's"]


async def test_only_a_timer_that_is_due_wakes_the_runner(bell: Bell) -> None:
    woken: list[bool] = []
    bell.probe.database.after_commit(lambda tx: woken.append(tx.timer_is_due))
    await bell.set("later", in_days=1)
    await bell.set("now", in_days=-0.1)
    assert woken == [False, True]


async def test_the_date_stops_at_every_day_on_which_a_timer_is_due(bell: Bell) -> None:
    due = {name: await bell.set(name, in_days=days) for name, days in
           (("c", 400), ("a", 2), ("b", 30), ("beyond", 500))}  # fmt: skip
    assert await bell.advance(401) == 3
    assert [subject for subject, _ in bell.rung] == ["a", "b", "c"]
    for subject, today in bell.rung:
        assert (today - business_date(due[subject])).days in (0, 1), subject
    assert await bell.left() == ["beyond"]
    async with bell.probe.database.read() as connection:
        assert await read_days_ahead(connection) == bell.probe.clock.days_ahead == 401


async def test_a_timer_may_set_itself_again(bell: Bell) -> None:
    await bell.set("lease", in_days=1, kind="daily", payload={"left": 3})
    start = bell.probe.clock.today()
    assert await bell.advance(40) == 3
    days = [(today - start).days for _, today in bell.rung]
    assert days == [1, 2, 3]
    assert await bell.left() == []


async def test_the_date_never_runs_backwards_nor_out_of_sight(bell: Bell) -> None:
    await bell.advance(3)
    for days in (-1, 50 * 365):
        with pytest.raises(BusinessDateBackwards):
            await bell.advance(days)
    assert await bell.advance(0) == 0


async def test_the_date_moves_in_the_local_setting_only(bell: Bell) -> None:
    operator = bell.operator()
    operator._runtime.settings.environment = "production"
    with pytest.raises(NotLocal):
        await operator.AdvanceBusinessDate(operator_pb2.AdvanceBusinessDateRequest(), None)


async def test_a_definite_refusal_drops_the_timer_and_its_effect(bell: Bell) -> None:
    bell.errors["late"] = PreconditionFailed("paid already", subject="late")
    await bell.set("late", in_days=-1)
    await bell.set("next", in_days=-0.5)
    assert await bell.runner.drain() == 2
    assert await bell.left() == []
    assert await bell.probe.ask("select array_agg(key) from seen") == ["next"]


@pytest.mark.parametrize("error", [LookupError("a defect"), Unavailable("a peer is away")])
async def test_a_failing_timer_waits_and_holds_nothing_up(
    bell: Bell, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    bell.errors["bad"] = error
    await bell.set("bad", in_days=-2)
    await bell.set("good", in_days=-1)
    await bell.runner.drain()
    assert [subject for subject, _ in bell.rung] == ["good"]
    assert await bell.left() == ["bad"]
    assert await bell.probe.ask("select attempts from timer") == 1
    assert str(error) in await bell.probe.ask("select last_error from timer")
    del bell.errors["bad"]
    await bell.probe.database.run(
        lambda tx: tx.connection.execute("update timer set retry_at = now() - interval '1 s'")
    )
    assert await bell.runner.drain() == 1
    assert await bell.left() == []


async def test_a_broken_statement_fails_its_timer_only(bell: Bell) -> None:
    async def broken(tx: Transaction, _: Timer) -> None:
        await tx.connection.execute("select 1 / 0")

    bell.runner._handlers = {**bell.runner._handlers, "broken": broken}
    await bell.set("bad", in_days=-2, kind="broken")
    await bell.set("unknown", in_days=-2, kind="of no kind")
    await bell.set("good", in_days=-1)
    await bell.runner.drain()
    assert [subject for subject, _ in bell.rung] == ["good"]
    assert sorted(await bell.left()) == ["bad", "unknown"]


async def test_a_timer_that_spins_is_stopped(bell: Bell) -> None:
    await bell.set("wheel", in_days=-1, kind="spin")
    assert await asyncio.wait_for(bell.runner.drain(), 10) == 1
    assert "TimerSpins" in await bell.probe.ask("select last_error from timer")


async def test_two_runners_fire_each_timer_once(bell: Bell) -> None:
    for number in range(40):
        await bell.set(f"t{number}", in_days=-1)
    other = Bell(bell.probe)
    fired = await asyncio.gather(bell.runner.drain(), other.runner.drain())
    assert sum(fired) == 40
    assert await bell.probe.ask("select count(*) from seen") == 40


async def test_the_runner_outlives_whatever_happens(
    bell: Bell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timer_runner, "POLL_S", 0.01)
    failures = [RuntimeError("a defect"), Unavailable("away")]
    drain = bell.runner.drain

    async def failing() -> int:
        if failures:
            raise failures.pop()
        return await drain()

    monkeypatch.setattr(bell.runner, "drain", failing)
    await bell.set("now", in_days=-1)
    task = asyncio.create_task(bell.runner.run())

    async def has_rung() -> bool:
        return bool(bell.rung)

    await until(has_rung, what="the timer")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not failures
