"""Sagas: step by step, back where refused, on where anything else went wrong."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from ironloop.kit.v1 import operator_pb2
from ironloop.parties.v1 import parties_pb2

from services.kit import saga_runner, sagas
from services.kit.errors import DomainError, PreconditionFailed, Unavailable
from services.kit.principals import enter, principal
from services.kit.requests import Commands, RequestRunning
from services.kit.runtime import Runtime
from services.kit.saga_runner import SagaRunner
from services.kit.sagas import Facts, HeldUp, Saga, SagaKind, SagaRunning, Step, until_done
from services.kit.transaction import Transaction
from tests.integration.kit.probe import CALLER, METHOD, SERVICE, Probe, until


class Script:
    """What each part of a saga of three steps does, and what was done.

    Attributes:
        fails: Errors to raise, by "call one", "apply two", "undo one" and so on, once each.
        log: What ran, in order.
    """

    def __init__(self, fails: Mapping[str, list[Exception]]) -> None:
        self.fails = {part: list(errors) for part, errors in fails.items()}
        self.log: list[str] = []
        self.request_ids: set[str] = set()

    def kind(self, **options: Any) -> SagaKind:
        """Return the saga's kind."""
        return SagaKind(
            "script",
            tuple(self._step(name) for name in ("one", "two", "three")),
            answer=self._answer,
            on_refused=self._on_refused,
            **options,
        )

    def _step(self, name: str) -> Step:
        async def call(_: Runtime, saga: Saga) -> Facts:
            self.request_ids.add(saga.request_id(name))
            assert principal().subject == f"services/{SERVICE}"
            self._do(f"call {name}")
            return {name: len(self.log)}

        async def apply(tx: Transaction, saga: Saga) -> None:
            assert name in saga.facts
            await tx.connection.execute("insert into seen (key, sequence) values ($1, 1)", name)
            self._do(f"apply {name}")

        async def undo(_: Runtime, saga: Saga) -> None:
            self._do(f"undo {name}")

        return Step(name, call=call, apply=apply, undo=undo)

    def _do(self, part: str) -> None:
        self.log.append(part)
        if self.fails.get(part):
            raise self.fails[part].pop(0)

    async def _answer(self, _: Transaction, saga: Saga) -> parties_pb2.Party:
        return parties_pb2.Party(name=saga.subject, event_sequence=len(saga.facts))

    async def _on_refused(self, tx: Transaction, saga: Saga, refusal: DomainError) -> None:
        self.log.append(f"refused {refusal.reason}")
        await tx.connection.execute("insert into seen (key, sequence) values ('refused', 1)")


class Stage:
    """A runner of one kind of saga, and commands that begin it."""

    def __init__(self, probe: Probe, script: Script, kind: SagaKind) -> None:
        self.probe = probe
        self.script = script
        self.runner = SagaRunner(probe.runtime(), {kind.kind: kind})
        self.request = parties_pb2.CreatePartyRequest(request_id=str(uuid4()))

    async def command(self) -> parties_pb2.Party:
        """Begin the saga as a caller does, or ask again."""
        enter(CALLER, METHOD)
        commands = Commands(self.probe.database, drive=self.runner.start)
        answer: parties_pb2.Party = await commands.run_saga(
            self.request, lambda tx: tx.start_saga("script", "orders/1", facts={"given": 1})
        )
        return answer

    async def row(self) -> Saga:
        """Return the saga."""
        async with self.probe.database.read() as connection:
            saga_id: UUID = await connection.fetchval("select id from saga")
            return await sagas.get(connection, saga_id)

    async def seen(self) -> list[str]:
        """Return the effects that stand."""
        return list(await self.probe.ask("select array_agg(key order by seq) from seen") or [])


@asynccontextmanager
async def staged(
    probe: Probe, fails: Mapping[str, list[Exception]] | None = None, **options: Any
) -> AsyncIterator[Stage]:
    script = Script(fails or {})
    stage = Stage(probe, script, script.kind(**options))
    yield stage
    await stage.runner.stop()


def refusal() -> PreconditionFailed:
    return PreconditionFailed("not allowed", subject="orders/1")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saga_runner, "RETRY_BASE_S", 0.001)


async def test_every_step_is_called_and_applied_once(probe: Probe) -> None:
    async with staged(probe) as stage:
        answer = await stage.command()
        assert answer.event_sequence == 4  # what was given, and what three steps learned
        assert stage.script.log == [
            f"{part} {name}" for name in ("one", "two", "three") for part in ("call", "apply")
        ]
        assert await stage.seen() == ["one", "two", "three"]
        assert (await stage.row()).state == "DONE"
        assert await stage.command() == answer
        assert len(stage.script.log) == 6


@pytest.mark.parametrize(
    ("part", "undone"),
    [
        ("call one", []),
        ("apply one", ["undo one"]),
        ("call two", ["undo one"]),
        ("apply two", ["undo two", "undo one"]),
        ("call three", ["undo two", "undo one"]),
        ("apply three", ["undo three", "undo two", "undo one"]),
    ],
)
async def test_a_refusal_undoes_what_was_done_backwards(
    probe: Probe, part: str, undone: list[str]
) -> None:
    async with staged(probe, {part: [refusal()]}) as stage:
        for _ in range(2):
            with pytest.raises(DomainError) as caught:
                await stage.command()
            assert caught.value.message == "not allowed"
        after = stage.script.log[stage.script.log.index(part) + 1 :]
        assert after == [*undone, "refused PRECONDITION_FAILED"]
        saga = await stage.row()
        assert (saga.state, saga.step) == ("REFUSED", -1)
        assert (await stage.seen())[-1] == "refused"


@pytest.mark.parametrize("error", [Unavailable("away"), LookupError("a defect"), OSError("lost")])
@pytest.mark.parametrize("part", ["call two", "apply two", "apply three"])
async def test_what_is_no_refusal_is_tried_again_under_the_same_ids(
    probe: Probe, part: str, error: Exception
) -> None:
    async with staged(probe, {part: [error, error]}) as stage:
        await stage.command()
        assert stage.script.log.count(part) == 3
        assert len(stage.script.request_ids) == 3
        assert await stage.seen() == ["one", "two", "three"]
        assert not any(line.startswith("undo") for line in stage.script.log)


async def test_an_undo_that_fails_is_tried_again(probe: Probe) -> None:
    fails: dict[str, list[Exception]] = {
        "call three": [refusal()],
        "undo one": [Unavailable("away"), LookupError("x")],
    }
    async with staged(probe, fails) as stage:
        with pytest.raises(DomainError):
            await stage.command()
        assert stage.script.log[-4:-1] == ["undo one"] * 3
        assert (await stage.row()).state == "REFUSED"


@pytest.mark.parametrize("direction", ["on", "back"])
async def test_a_step_that_a_peer_refused_is_done_once_the_cause_is_mended(
    probe: Probe, direction: str
) -> None:
    peer = probe.commands()  # which keeps its refusals, as every service does
    mended = False

    async def move_title(tx: Transaction) -> parties_pb2.Party:
        if not mended:
            raise PreconditionFailed("a lien is active", subject="machines/1")
        await tx.connection.execute("insert into seen (key, sequence) values ('title', 1)")
        return parties_pb2.Party()

    async def ask_peer(_: Runtime, saga: Saga) -> None:
        request_id = saga.retry_request_id("title")
        await peer.run(parties_pb2.CreatePartyRequest(request_id=request_id), move_title)

    async def call(runtime: Runtime, saga: Saga) -> Facts:
        async with until_done("title of machines/1"):
            await ask_peer(runtime, saga)
        return {}

    async def refuse(_: Runtime, __: Saga) -> Facts:
        raise refusal()

    steps = {
        "on": (Step("title", call=call),),
        "back": (Step("title", undo=ask_peer), Step("refused", call=refuse)),
    }
    script = Script({})
    kind = replace(script.kind(), steps=steps[direction])
    stage = Stage(probe, script, kind)
    command = asyncio.create_task(stage.command())

    async def is_held_up() -> bool:
        return bool(
            await probe.ask(
                "select count(*) = 1 from saga where attempts > 2 and last_error like '%a lien is%'"
            )
        )

    await until(is_held_up, what="some refusals")
    mended = True
    await asyncio.wait([command])
    assert (await stage.row()).state == {"on": "DONE", "back": "REFUSED"}[direction]
    assert (await stage.seen())[0] == "title"
    await stage.runner.stop()


async def test_a_failure_until_done_is_no_refusal_of_its_own() -> None:
    with pytest.raises(Unavailable, match="away") as caught:
        async with until_done("it"):
            raise Unavailable("away")
    assert not isinstance(caught.value, HeldUp)


async def test_one_saga_of_a_kind_works_for_a_resource_at_a_time(probe: Probe) -> None:
    async with staged(probe, {"call one": [Unavailable("away")] * 1_000}) as stage:
        call = asyncio.create_task(stage.command())

        async def begun() -> bool:
            return bool(await probe.ask("select count(*) = 1 from saga"))

        await until(begun, what="a saga")
        stage.request = parties_pb2.CreatePartyRequest(request_id=str(uuid4()))
        with pytest.raises(SagaRunning):
            await stage.command()
        stage.script.fails.clear()
        await call
        assert (await stage.command()).name == "orders/1"


async def test_a_caller_that_gives_up_finds_the_answer_later(probe: Probe) -> None:
    async with staged(probe, {"call two": [Unavailable("away")] * 1_000}) as stage:
        call = asyncio.create_task(stage.command())

        async def is_under_way() -> bool:
            return "call two" in stage.script.log

        await until(is_under_way, what="the second step")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        with pytest.raises(RequestRunning):
            await stage.command()
        stage.script.fails.clear()

        async def is_answered() -> bool:
            try:
                return bool((await stage.command()).name)
            except RequestRunning:
                return False

        await until(is_answered, what="the saga's answer")
        assert await stage.seen() == ["one", "two", "three"]


async def test_a_slow_saga_answers_that_it_still_runs(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.kit.requests.SAGA_WAIT_S", 0.05)
    async with staged(probe, {"call two": [Unavailable("away")] * 1_000}) as stage:
        with pytest.raises(RequestRunning):
            await stage.command()
        stage.script.fails.clear()
        await asyncio.shield(stage.runner.start((await stage.row()).id))
        assert (await stage.command()).name == "orders/1"


async def test_two_runners_of_one_saga_do_no_harm(probe: Probe) -> None:
    async with staged(probe) as stage:
        saga = await probe.database.run(_begin)
        others = [SagaRunner(probe.runtime(), stage.runner._kinds) for _ in range(3)]
        await asyncio.gather(*(runner.start(saga.id) for runner in (stage.runner, *others)))
        assert await stage.seen() == ["one", "two", "three"]
        assert len(stage.script.request_ids) == 3


async def test_a_saga_that_lost_its_runner_is_taken_up(
    probe: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saga_runner, "LOOK_EVERY_S", 0.02)
    looks = 0
    take_up = SagaRunner._take_up

    async def counted(runner: SagaRunner, *, untouched_for: timedelta) -> None:
        nonlocal looks
        await take_up(runner, untouched_for=untouched_for)
        looks += 1

    async def has_looked_thrice() -> bool:
        return looks >= 3

    monkeypatch.setattr(SagaRunner, "_take_up", counted)
    async with staged(probe) as stage:
        await probe.database.run(_begin)

        async def is_touched() -> bool:
            return bool(stage.script.log)

        monkeypatch.setattr(saga_runner, "ORPHANED_AFTER", timedelta(hours=1))
        look = asyncio.create_task(stage.runner.run())
        await until(has_looked_thrice, what="looks at a saga that is still fresh")
        assert not stage.script.log
        monkeypatch.setattr(saga_runner, "ORPHANED_AFTER", timedelta())
        await until(is_touched, what="the orphan's first step")
        look.cancel()
        await asyncio.gather(look, return_exceptions=True)
        await stage.runner.start((await stage.row()).id)
        assert await stage.seen() == ["one", "two", "three"]


async def test_a_stuck_saga_is_reported_once(probe: Probe) -> None:
    fails: dict[str, list[Exception]] = {"call two": [Unavailable("away")] * 4}
    async with staged(probe, fails, stuck_after=timedelta()) as stage:
        await stage.command()
        payload = await probe.ask("select payload from outbox where topic = 'kit.saga.v1'")
        stuck = operator_pb2.SagaStuck.FromString(payload)
        assert (stuck.step, stuck.last_error, stuck.sequence) == ("two", "away", 1)
        assert await probe.ask("select count(*) from outbox") == 1


async def test_a_saga_of_a_kind_that_is_gone_stays_and_ends_nothing(probe: Probe) -> None:
    runner = SagaRunner(probe.runtime(), {})
    saga = await probe.database.run(_begin)
    task = runner.start(saga.id)

    async def is_noted() -> bool:
        return bool(await probe.ask("select attempts > 1 from saga"))

    await until(is_noted, what="two tries")
    assert not task.done()
    await runner.stop()


async def _begin(tx: Transaction) -> Saga:
    enter(CALLER, METHOD)
    return await tx.start_saga("script", "orders/1")
