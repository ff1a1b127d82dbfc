"""Moves the business date of every service together, and waits until all are at rest."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta

from ironloop.kit.v1 import operator_pb2, operator_pb2_grpc

from infra.local.client import Actor
from services.kit import wire
from services.kit.clock import business_date

REST_WITHIN_S = 60.0
POLL_S = 0.02
DAY_S = 86_400


class NotAtRest(Exception):
    """Something is still under way; the message says what, by service."""


class BusinessTime:
    """Domain time of a local stack, moved by its operator.

    Args:
        services: The services by name, asked anew each time.
        with_broker: Whether events leave the outboxes.
    """

    def __init__(
        self, operator: Actor, services: Callable[[], Iterable[str]], *, with_broker: bool
    ) -> None:
        self._operator = operator
        self._services = services
        self._with_broker = with_broker

    async def today(self) -> date:
        """Return the business date."""
        stands = await self._stands()
        return min(
            wire.to_date(one.business_date, field="business_date") for one in stands.values()
        )

    async def advance_to(self, day: date) -> None:
        """Move on to `day` from timer to timer, so that each fires on its own date.

        Raises:
            NotAtRest: A step did not come to rest within a minute.
        """
        while (today := await self.today()) < day:
            await self.until_at_rest()
            due_on = await self._next_due_on(today)
            await self._move_to(day if due_on is None else min(day, due_on))
        await self.until_at_rest()

    async def until_at_rest(self) -> None:
        """Return once no service has anything under way.

        Raises:
            NotAtRest: Something still is after a minute.
        """
        deadline_s = time.monotonic() + REST_WITHIN_S
        calm = 0
        while calm < 2:  # twice in a row: an event may travel while services are asked in turn
            busy = {
                name: stands
                for name, stands in (await self._stands()).items()
                if self._is_busy(stands)
            }
            calm = 0 if busy else calm + 1
            if time.monotonic() > deadline_s:
                raise NotAtRest(", ".join(f"{name}: {stands}" for name, stands in busy.items()))
            await asyncio.sleep(POLL_S)

    async def _next_due_on(self, today: date) -> date | None:
        """Return the first date on which a timer that waits has fallen due."""
        present = datetime.now(UTC)
        present += timedelta(days=(today - business_date(present)).days)
        due = [
            stands.next_timer_time.ToDatetime(tzinfo=UTC)
            for stands in (await self._stands()).values()
            if stands.HasField("next_timer_time")
        ]
        if not due:
            return None
        days = math.ceil((min(due) - present).total_seconds() / DAY_S)
        return today + timedelta(days=max(1, days))

    async def _move_to(self, day: date) -> None:
        request = operator_pb2.AdvanceBusinessDateRequest(business_date=wire.date(day))
        await asyncio.gather(
            *(self._stub(name).AdvanceBusinessDate(request) for name in self._services())
        )

    async def _stands(self) -> dict[str, operator_pb2.Quiescence]:
        names = list(self._services())
        request = operator_pb2.GetQuiescenceRequest()
        answers = await asyncio.gather(*(self._stub(name).GetQuiescence(request) for name in names))
        return dict(zip(names, answers, strict=True))

    def _is_busy(self, stands: operator_pb2.Quiescence) -> bool:
        if any((stands.timers_due, stands.sagas_running, stands.consumer_lag)):
            return True
        return self._with_broker and stands.outbox_rows > 0

    def _stub(self, service: str) -> "operator_pb2_grpc.OperatorServiceAsyncStub":
        return self._operator.stub(operator_pb2_grpc.OperatorServiceStub, service=service)
