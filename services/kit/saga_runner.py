"""Drives sagas: one task each, from where its row stands until it is done or refused."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import UUID

import structlog
from google.protobuf.message import Message
from google.rpc import status_pb2
from ironloop.kit.v1 import operator_pb2

from services.kit import requests, sagas, telemetry
from services.kit.errors import DomainError, StoredRefusal
from services.kit.ids import made_at
from services.kit.principals import enter, service_principal
from services.kit.runtime import Runtime
from services.kit.sagas import Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.kit.waiting import backoff_s

RETRY_BASE_S = 0.1
RETRY_MAX_S = 5.0
LOOK_EVERY_S = 5.0
# A saga that nobody has tried for this long lost its runner: its process died, or was cancelled
# between the commit and the start. Longer than a step's retries and a peer's deadline together.
ORPHANED_AFTER = timedelta(seconds=20)
ERROR_CHARACTERS_MAX = 1_000

log = structlog.get_logger(__name__)


class SagaRunner:
    """Runs every saga of a service; several replicas may drive one, which does no harm."""

    def __init__(self, runtime: Runtime, kinds: Mapping[str, SagaKind]) -> None:
        self._runtime = runtime
        self._kinds = kinds
        self._tasks: dict[UUID, asyncio.Task[None]] = {}

    def start(self, saga_id: UUID) -> asyncio.Task[None]:
        """Drive a saga in the background, or return the task that does."""
        task = self._tasks.get(saga_id)
        if task is None:
            task = asyncio.create_task(self._drive(saga_id), name=f"saga {saga_id}")
            self._tasks[saga_id] = task
            task.add_done_callback(lambda _: self._tasks.pop(saga_id, None))
        return task

    async def recover(self) -> None:
        """Take up every saga that a stopped process left under way."""
        await self._take_up(untouched_for=timedelta())

    async def run(self) -> None:
        """Take up orphaned sagas, now and then, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self._take_up(untouched_for=ORPHANED_AFTER)
            except Exception as error:
                log.warning("orphaned_sagas_not_read", error=repr(error))

    def step_name(self, saga: Saga) -> str:
        """Return the name of the step that is next, or was last."""
        kind = self._kinds.get(saga.kind)
        if kind is None:
            return str(saga.step)
        return kind.steps[min(max(saga.step, 0), len(kind.steps) - 1)].name

    async def _take_up(self, *, untouched_for: timedelta) -> None:
        async with self._runtime.database.read() as connection:
            for saga_id in await sagas.list_running(connection, untouched_for=untouched_for):
                self.start(saga_id)

    async def stop(self) -> None:
        """Leave every saga where it stands."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _drive(self, saga_id: UUID) -> None:
        enter(service_principal(self._runtime.service), "sagas")
        failures = 0
        while True:
            saga = None
            try:
                async with self._runtime.database.read() as connection:
                    saga = await sagas.get(connection, saga_id)
                if saga.state != "RUNNING":
                    return
                await self._take_step(saga)
                failures = 0
            except Exception as error:
                # Whatever went wrong, nothing is known to have been refused: the same step is
                # tried again under the same ids, for as long as it takes.
                expected = isinstance(error, DomainError)
                log.warning(
                    "saga_step_failed",
                    saga=str(saga_id),
                    error=repr(error),
                    exc_info=None if expected else error,
                )
                await self._note(saga, error)
                await asyncio.sleep(backoff_s(failures, base_s=RETRY_BASE_S, max_s=RETRY_MAX_S))
                failures += 1

    async def _take_step(self, saga: Saga) -> None:
        kind = self._kinds[saga.kind]
        with telemetry.span(f"saga {saga.kind}", parent=saga.traceparent):
            if saga.undoing:
                await self._undo(kind, saga)
            else:
                await self._advance(kind, saga)

    async def _advance(self, kind: SagaKind, saga: Saga) -> None:
        step = kind.steps[saga.step]
        called = False
        try:
            learned = await step.call(self._runtime, saga) if step.call else {}
            called = True
            await self._runtime.database.run(
                lambda tx: self._apply(tx, kind, saga, step=step, facts=saga.facts | learned)
            )
        except DomainError as refusal:
            if not refusal.is_definite:
                raise
            last_taken = saga.step if called else saga.step - 1
            await self._turn_round(kind, saga, refusal, last_taken=last_taken)

    async def _apply(
        self, tx: Transaction, kind: SagaKind, saga: Saga, *, step: Step, facts: sagas.Facts
    ) -> None:
        is_last = saga.step + 1 == len(kind.steps)
        moved = await sagas.move(
            tx.connection,
            saga,
            step=saga.step + 1,
            facts=facts,
            at=tx.now,
            state="DONE" if is_last else "RUNNING",
        )
        if moved is None:
            return
        if step.apply:
            await step.apply(tx, moved)
        if is_last:
            answer: Message | None = await kind.answer(tx, moved) if kind.answer else None
            await requests.finish(tx.connection, saga.id, response=answer)

    async def _turn_round(
        self, kind: SagaKind, saga: Saga, refusal: DomainError, *, last_taken: int
    ) -> None:
        log.info("saga_refused", saga=saga.name, kind=saga.kind, reason=refusal.reason)
        status = refusal.to_status().SerializeToString()

        async def turn(tx: Transaction) -> None:
            moved = await sagas.move(
                tx.connection, saga, step=last_taken, facts=saga.facts, at=tx.now, refusal=status
            )
            if moved is not None and last_taken < 0:
                await self._end_refused(tx, kind, moved)

        await self._runtime.database.run(turn)

    async def _undo(self, kind: SagaKind, saga: Saga) -> None:
        if saga.step >= 0 and (undo := kind.steps[saga.step].undo):
            await undo(self._runtime, saga)

        async def step_back(tx: Transaction) -> None:
            moved = await sagas.move(
                tx.connection, saga, step=max(saga.step - 1, -1), facts=saga.facts, at=tx.now
            )
            if moved is not None and moved.step < 0:
                await self._end_refused(tx, kind, moved)

        await self._runtime.database.run(step_back)

    async def _end_refused(self, tx: Transaction, kind: SagaKind, saga: Saga) -> None:
        status = status_pb2.Status.FromString(saga.refusal or b"")
        if kind.on_refused:
            await kind.on_refused(tx, saga, StoredRefusal(status))
        await sagas.move(
            tx.connection, saga, step=saga.step, facts=saga.facts, at=tx.now, state="REFUSED"
        )
        await requests.finish(tx.connection, saga.id, refusal=saga.refusal)

    async def _note(self, saga: Saga | None, error: Exception) -> None:
        if saga is None:
            return
        try:
            await self._runtime.database.run(lambda tx: self._note_in(tx, saga, error))
        except Exception as unnoted:
            log.warning("saga_failure_not_noted", saga=saga.name, error=repr(unnoted))

    async def _note_in(self, tx: Transaction, saga: Saga, error: Exception) -> None:
        text = (str(error) or repr(error)).replace("\0", "")[:ERROR_CHARACTERS_MAX]
        await sagas.note_failure(tx.connection, saga, error=text)
        kind = self._kinds.get(saga.kind)
        stuck_after = kind.stuck_after if kind else sagas.STUCK_AFTER
        if datetime.now(UTC) - made_at(saga.id) < stuck_after:
            return
        if await sagas.note_stuck(tx.connection, saga):
            await tx.emit(
                operator_pb2.SagaStuck(
                    saga=saga.name,
                    sequence=1,
                    service=self._runtime.service,
                    kind=saga.kind,
                    subject=saga.subject,
                    step=self.step_name(saga),
                    last_error=text,
                )
            )
