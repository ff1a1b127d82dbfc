"""Moves the business date of every service together, and waits until all are at rest."""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta

from ironloop.kit.v1 import operator_pb2, operator_pb2_grpc

from infra.local.client import Actor
from services.kit import wire
from services.kit.clock import business_date

REST_WITHIN_S = 60.0
POLL_S = 0.02
DAY_S = 86_400
CALM_ROUNDS = 2  # in a row: an event may travel while services are asked in turn

Standings = dict[str, operator_pb2.Quiescence]


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
        return _date_of(await self._stands(list(self._services())))

    async def now(self) -> datetime:
        """Return the instant of domain time: the business date, at this time of day."""
        present = datetime.now(UTC)
        return present + timedelta(days=(await self.today() - business_date(present)).days)

    async def advance_to(self, day: date) -> None:
        """Move on to `day` from timer to timer, so that each fires on its own date.

        Raises:
            NotAtRest: A step did not come to rest within a minute.
        """
        while True:
            stands = await self.until_at_rest()
            if _date_of(stands) >= day:
                return
            due_on = _next_due_on(stands)
            await self._move_to(day if due_on is None else min(day, due_on))

    async def until_at_rest(self) -> Standings:
        """Return how the services stand once none of them has anything under way.

        Raises:
            NotAtRest: Something still is, and for a minute nothing of it has become less.
        """
        deadline_s = time.monotonic() + REST_WITHIN_S
        least = None
        everyone = list(self._services())
        asked, calm = everyone, 0
        stands: Standings = {}
        while True:
            stands |= await self._stands(asked)
            busy = [name for name in asked if self._is_busy(stands[name])]
            is_whole_round = len(asked) == len(everyone)
            calm = 0 if busy or not is_whole_round else calm + 1
            if calm == CALM_ROUNDS:
                return stands
            left = sum(_left(stands[name]) for name in busy)
            if least is None or left < least:  # consumers that have much to catch up with do so
                least, deadline_s = left, time.monotonic() + REST_WITHIN_S
            if busy and time.monotonic() > deadline_s:
                raise NotAtRest(", ".join(f"{name}: {stands[name]}" for name in busy))
            asked = busy or everyone  # those that were calm are asked again once the others are
            await asyncio.sleep(POLL_S)

    async def _move_to(self, day: date) -> None:
        request = operator_pb2.AdvanceBusinessDateRequest(business_date=wire.date(day))
        await asyncio.gather(
            *(self._stub(name).AdvanceBusinessDate(request) for name in self._services())
        )

    async def _stands(self, names: Sequence[str]) -> Standings:
        request = operator_pb2.GetQuiescenceRequest()
        answers = await asyncio.gather(*(self._stub(name).GetQuiescence(request) for name in names))
        return dict(zip(names, answers, strict=True))

    def _is_busy(self, stands: operator_pb2.Quiescence) -> bool:
        if any((stands.timers_due, stands.sagas_running, stands.consumer_lag)):
            return True
        return self._with_broker and stands.outbox_rows > 0

    def _stub(self, service: str) -> "operator_pb2_grpc.OperatorServiceAsyncStub":
        return self._operator.stub(operator_pb2_grpc.OperatorServiceStub, service=service)


def _left(stands: operator_pb2.Quiescence) -> int:
    """Return how much a service has still under way."""
    return stands.timers_due + stands.sagas_running + stands.consumer_lag + stands.outbox_rows


def _date_of(stands: Standings) -> date:
    return min(wire.to_date(one.business_date, field="business_date") for one in stands.values())


def _next_due_on(stands: Standings) -> date | None:
    """Return the first date on which a timer that waits has fallen due."""
    today = _date_of(stands)
    present = datetime.now(UTC)
    present += timedelta(days=(today - business_date(present)).days)
    due = [
        one.next_timer_time.ToDatetime(tzinfo=UTC)
        for one in stands.values()
        if one.HasField("next_timer_time")
    ]
    if not due:
        return None
    days = math.ceil((min(due) - present).total_seconds() / DAY_S)
    return today + timedelta(days=max(1, days))
