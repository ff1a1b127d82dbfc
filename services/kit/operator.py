"""The operator's view of a service: business date, rest, sagas, long-running operations."""

import asyncio
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from ironloop.kit.v1 import operator_pb2, operator_pb2_grpc

from services.kit import operations, sagas, timers, wire
from services.kit.connection import Connection
from services.kit.errors import InvalidArgument, PreconditionFailed
from services.kit.ids import parse_name
from services.kit.kafka_log import KafkaFeed
from services.kit.principals import principal
from services.kit.relay import count_outbox
from services.kit.runtime import Runtime
from services.kit.saga_runner import SagaRunner
from services.kit.sagas import Saga
from services.kit.timer_runner import TimerRunner

DAYS_AHEAD_MAX = 40 * 366  # a lease of forty years; more is a slip of the keyboard

_STATE_PREFIX = "SAGA_STATE_"


class NotLocal(PreconditionFailed):
    """The command exists for the local setting only."""

    reason = "NOT_LOCAL"

    def __init__(self, command: str) -> None:
        super().__init__(f"{command} works in the local setting only", command=command)


class BusinessDateBackwards(InvalidArgument):
    """Domain time never runs backwards."""

    reason = "BUSINESS_DATE_BACKWARDS"

    def __init__(self, asked: date, present: date, *, days_ahead: int) -> None:
        last = present + timedelta(days=DAYS_AHEAD_MAX - days_ahead)
        super().__init__("business_date", f"must lie in {present} to {last}, not {asked}")


class OperatorRpc(operator_pb2_grpc.OperatorServiceServicer):
    """Serves ironloop.kit.v1.OperatorService over this service's own database."""

    def __init__(
        self,
        runtime: Runtime,
        timer_runner: TimerRunner,
        saga_runner: SagaRunner,
        feed: KafkaFeed | None,
    ) -> None:
        self._runtime = runtime
        self._timers = timer_runner
        self._sagas = saga_runner
        self._feed = feed
        self._advancing = asyncio.Lock()

    async def AdvanceBusinessDate(
        self, request: operator_pb2.AdvanceBusinessDateRequest, context: Any
    ) -> operator_pb2.AdvanceBusinessDateResponse:
        """Move the business date and drain the timers that fall due, day by day."""
        clock = self._runtime.clock
        if self._runtime.settings.environment != "local":
            raise NotLocal("AdvanceBusinessDate")
        asked = wire.to_date(request.business_date, field="business_date")
        async with self._advancing:
            days = (asked - clock.today()).days
            if days < 0 or clock.days_ahead + days > DAYS_AHEAD_MAX:
                raise BusinessDateBackwards(asked, clock.today(), days_ahead=clock.days_ahead)
            target = clock.days_ahead + days
            fired = await self._timers.drain()
            while clock.days_ahead < target:
                await self._move_clock(await self._next_stop(target))
                fired += await self._timers.drain()
        return operator_pb2.AdvanceBusinessDateResponse(
            business_date=wire.date(clock.today()), timers_fired=fired
        )

    async def _next_stop(self, target: int) -> int:
        """Return the days ahead at which the next timer is due, at most `target`."""
        clock = self._runtime.clock
        async with self._runtime.database.read() as connection:
            due_at = await timers.next_due_at(connection, after=clock.now())
        if due_at is None:
            return target
        days = -(-(due_at - clock.now()) // timedelta(days=1))
        return min(target, clock.days_ahead + max(1, days))

    async def _move_clock(self, days_ahead: int) -> None:
        await self._runtime.database.run(lambda tx: write_days_ahead(tx.connection, days_ahead))
        self._runtime.clock.days_ahead = days_ahead

    async def GetQuiescence(
        self, request: operator_pb2.GetQuiescenceRequest, context: Any
    ) -> operator_pb2.Quiescence:
        """Count what is under way."""
        clock = self._runtime.clock
        async with self._runtime.database.read() as connection:
            quiescence = operator_pb2.Quiescence(
                business_date=wire.date(clock.today()),
                timers_due=await timers.count_due(connection, clock.now()),
                outbox_rows=await count_outbox(connection),
                sagas_running=len(await sagas.list_running(connection)),
            )
            if (due_at := await timers.next_due_at(connection)) is not None:
                quiescence.next_timer_time.CopyFrom(wire.instant(due_at))
        quiescence.consumer_lag = await self._feed.lag() if self._feed else 0
        return quiescence

    async def ListSagas(
        self, request: operator_pb2.ListSagasRequest, context: Any
    ) -> operator_pb2.ListSagasResponse:
        """List sagas, the newest first."""
        page = self._runtime.pages.open(request)
        state = (
            wire.enum_name(operator_pb2.SagaState, request.state, prefix=_STATE_PREFIX)
            if request.state
            else None
        )
        after: tuple[datetime, UUID] | None = page.after
        async with self._runtime.database.read() as connection:
            rows = await sagas.list_page(connection, state=state, after=after, limit=page.limit + 1)
        kept, token = self._runtime.pages.cut(
            request, page, rows, key=lambda saga: (saga.create_time, saga.id)
        )
        return operator_pb2.ListSagasResponse(
            sagas=[_saga(saga, step=self._sagas.step_name(saga)) for saga in kept],
            next_page_token=token,
        )

    async def GetOperation(
        self, request: operator_pb2.GetOperationRequest, context: Any
    ) -> operator_pb2.Operation:
        """Return an operation of the caller's."""
        operation_id = parse_name(request.name, "operations")
        async with self._runtime.database.read() as connection:
            return operations.to_wire(
                await operations.get(connection, operation_id, viewer=principal())
            )

    async def CancelOperation(
        self, request: operator_pb2.CancelOperationRequest, context: Any
    ) -> operator_pb2.Operation:
        """Ask an operation of the caller's to stop."""
        operation_id = parse_name(request.name, "operations")
        viewer = principal()
        return operations.to_wire(
            await self._runtime.database.run(
                lambda tx: operations.request_cancel(tx, operation_id, viewer=viewer)
            )
        )


async def read_days_ahead(connection: Connection) -> int:
    """Return how many days the business date is ahead of the calendar."""
    days: int = await connection.fetchval("select days_ahead from business_clock")
    return days


async def write_days_ahead(connection: Connection, days_ahead: int) -> None:
    """Keep how many days the business date is ahead of the calendar."""
    await connection.execute("update business_clock set days_ahead = $1", days_ahead)


def _saga(saga: Saga, *, step: str) -> operator_pb2.Saga:
    return operator_pb2.Saga(
        name=saga.name,
        kind=saga.kind,
        subject=saga.subject,
        state=wire.enum_number(operator_pb2.SagaState, saga.state, prefix=_STATE_PREFIX),
        step=step,
        attempts=saga.attempts,
        last_error=saga.last_error,
        create_time=wire.instant(saga.create_time),
        update_time=wire.instant(saga.update_time),
    )
