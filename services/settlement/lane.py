"""One lane a ledger: whatever waits for it is posted in one commit, the moment the last is done.

There is no timer: an idle lane posts at once, a busy one gathers what comes in the meantime, and
what has come when the last commit is done still gets in. A caller whose deadline passes leaves its
transfers in the lane; it asks again with the same ids.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog
from ironloop.settlement.v1.settlement_pb2 import Transfer as Sent
from prometheus_client import Gauge, Histogram

from services.kit import telemetry
from services.kit.errors import Retriable
from services.kit.principals import enter, service_principal
from services.settlement.errors import LaneFull
from services.settlement.ledger_state import Chain
from services.settlement.transfer import Outcome

QUEUED = Gauge("ironloop_lane_queued", "Transfers that wait for their ledger", ["ledger"])
BATCH_TRANSFERS = Histogram(
    "ironloop_lane_batch_transfers",
    "Transfers in one commit",
    ["ledger"],
    buckets=(1, 4, 16, 64, 256, 1_024, 4_096),
)
QUIET_TURNS = 8  # of the event loop: a call takes fewer from its socket to the lane
TURNS_MAX = 48  # then a flow that never pauses has waited long enough
BATCH_MAX = 4_096  # transfers in one commit; a longer one would hold its accounts for too long

log = structlog.get_logger(__name__)


class Poster(Protocol):
    """Posts chains of one ledger in one transaction."""

    async def __call__(
        self, ledger: int, batch: Sequence[Chain], sent: Sequence[Sent] | None
    ) -> Sequence[Outcome]:
        """Return one outcome a transfer, in order.

        Args:
            sent: The transfers as they came in, in order, where all of them came in so.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What one call wants posted.

    Attributes:
        size: How many transfers its chains hold.
        sent: The transfers as they came in, where they came in so.
        traceparent: The trace that asked.
    """

    batch: Sequence[Chain]
    size: int
    sent: Sequence[Sent] | None
    traceparent: str
    answer: "asyncio.Future[Sequence[Outcome]]"


class Lane:
    """The queue and the one task of a ledger."""

    def __init__(self, ledger: int, post: Poster, *, queued_max: int) -> None:
        self._ledger = ledger
        self._post = post
        self._queued_max = queued_max
        self._queue: deque[Job] = deque()
        self._queued = 0
        self._woken = asyncio.Event()
        self._shown_queued = QUEUED.labels(ledger)
        self._shown_batch = BATCH_TRANSFERS.labels(ledger)

    async def post(
        self, batch: Sequence[Chain], *, size: int, sent: Sequence[Sent] | None = None
    ) -> Sequence[Outcome]:
        """Return one outcome a transfer once they are committed.

        Raises:
            LaneFull: Too much waits already; nothing was taken.
            Retriable: The database is away; what became of the transfers is not known.
        """
        if self._queued + size > self._queued_max:
            raise LaneFull(self._ledger, self._queued, queued_max=self._queued_max)
        answer: asyncio.Future[Sequence[Outcome]] = asyncio.get_running_loop().create_future()
        self._queue.append(Job(batch, size, sent, telemetry.traceparent(), answer))
        self._queued += size
        self._woken.set()
        return await answer  # nobody but its caller waits for it: cancelled, the job goes on

    async def run(self) -> None:
        """Post what is queued until cancelled."""
        enter(service_principal("settlement"), "lane")
        while True:
            await self._woken.wait()
            self._woken.clear()
            while self._queue:
                await self._gather()
                await self._post_jobs(self._take())
            self._shown_queued.set(0)

    async def _gather(self) -> None:
        """Let in calls that have come already and are on their way through the event loop.

        Nothing is waited for: where none is on its way, this is over at once.
        """
        quiet = 0
        for _ in range(TURNS_MAX):
            queued = self._queued
            await asyncio.sleep(0)
            quiet = 0 if self._queued > queued else quiet + 1
            if quiet == QUIET_TURNS or self._queued >= BATCH_MAX:
                break

    def _take(self) -> list[Job]:
        jobs = [self._queue.popleft()]
        size = jobs[0].size
        while self._queue and size + self._queue[0].size <= BATCH_MAX:
            jobs.append(self._queue.popleft())
            size += jobs[-1].size
        # Shown once a commit; to show it with each call would cost the call more than the queue.
        self._shown_queued.set(self._queued)
        self._queued -= size
        self._shown_batch.observe(size)
        return jobs

    async def _post_jobs(self, jobs: Sequence[Job]) -> None:
        batch = [chain for job in jobs for chain in job.batch]
        came = [job.sent for job in jobs if job.sent is not None]
        sent = [row for rows in came for row in rows] if len(came) == len(jobs) else None
        try:
            with telemetry.span("post transfers", parent=jobs[0].traceparent):
                outcomes = await self._post(self._ledger, batch, sent)
        except Exception as error:
            await self._fail(jobs, error)
            return
        start = 0
        for job in jobs:
            _answer(job, outcomes[start : start + job.size])
            start += job.size

    async def _fail(self, jobs: Sequence[Job], error: Exception) -> None:
        """Tell callers of a failed commit; a defect that one job brings fails no other."""
        if len(jobs) == 1 or isinstance(error, Retriable):
            for job in jobs:
                if not job.answer.done():
                    job.answer.set_exception(error)
                    job.answer.exception()  # its caller may have gone; that is no defect
            return
        log.error("lane_batch_failed", ledger=self._ledger, jobs=len(jobs), exc_info=error)
        for job in jobs:
            await self._post_jobs([job])


class Lanes:
    """The lanes of all ledgers, each opened when it is first needed."""

    def __init__(self, post: Poster, *, queued_max: int) -> None:
        self._post = post
        self._queued_max = queued_max
        self._lanes: dict[int, Lane] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def lane(self, ledger: int) -> Lane:
        """Return a ledger's lane."""
        if ledger not in self._lanes:
            lane = Lane(ledger, self._post, queued_max=self._queued_max)
            self._lanes[ledger] = lane
            self._tasks.append(asyncio.create_task(lane.run(), name=f"lane {ledger}"))
        return self._lanes[ledger]

    async def run(self) -> None:
        """Keep the lanes until cancelled."""
        try:
            await asyncio.Event().wait()
        finally:
            for task in self._tasks:
                task.cancel()


def _answer(job: Job, outcomes: Sequence[Outcome]) -> None:
    if not job.answer.done():
        job.answer.set_result(outcomes)
