"""Walks a telematics endpoint page by page, again and again, and goes on where it stood.

Each page is stored before its successor is noted, so a walk that breaks off reads a page twice at
most, which changes nothing.
"""

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import urljoin

import structlog

from services.iso15143.model import MINUTES_PATH
from services.kit.errors import DomainError
from services.kit.principals import Principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.kit.waiting import backoff_s
from services.maintenance import fleet_source_store
from services.maintenance.errors import DocumentRefused
from services.maintenance.fleet_client import FetchFailed, FleetClient
from services.maintenance.fleet_desk import FleetDesk
from services.maintenance.fleet_source_store import ResumePoint
from services.maintenance.settings import FleetSource

CLAIMED_FOR = timedelta(minutes=2)  # longer than a page takes; then another process may go on
PAGES_MAX = 1_000  # of a walk: 100,000 machines; more is a circle of links
BACKOFF_BASE_S = 1.0
BACKOFF_MAX_S = 900.0  # the polling interval of the standard
LOOK_EVERY = timedelta(minutes=1)  # the business date may have moved
ERROR_CHARACTERS_MAX = 300
GONE = frozenset({404, 410})

log = structlog.get_logger(__name__)


class FleetPoller:
    """The poller of one endpoint; it stores what belongs to machines of its party."""

    def __init__(self, runtime: Runtime, desk: FleetDesk, source: FleetSource) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._desk = desk
        self._source = source
        self._client = FleetClient(source)
        # It sees what its party owns or has, and nothing else.
        self._viewer = Principal("services/maintenance", source.party, frozenset())

    async def run(self) -> None:
        """Walk for as long as the service runs."""
        while True:
            try:
                wait = await self.step()
            except DomainError as error:  # the database or marketplace is away
                log.warning("fleet_poll_failed", source=self._source.name, error=error.message)
                wait = timedelta(seconds=BACKOFF_BASE_S)
            await asyncio.sleep(wait.total_seconds())

    async def step(self) -> timedelta:
        """Take the next page if it is due, and return how long to wait for the one after it.

        Raises:
            DatabaseUnavailable, PeerUnavailable: The page is taken again once they answer.
        """
        now = self._runtime.clock.now()
        point = await self._claim(now)
        if point is None:
            return await self._wait(now)
        href = point.next_href or self._first_href()
        try:
            document = await self._client.fetch(href)
            in_minutes = True if MINUTES_PATH in href.lower() else None
            report = await self._desk.take(
                document, viewer=self._viewer, idle_in_minutes=in_minutes
            )
        except (FetchFailed, DocumentRefused) as failure:
            return await self._failed(point, failure)
        except BaseException:
            await self._save(replace(point, next_time=now))
            raise
        following = urljoin(href, report.next_href) if report.next_href else ""
        pages = point.pages + 1 if point.next_href else 1
        log.info("fleet_page_taken", source=self._source.name, page=pages, rows=len(report.rows))
        await self._save(self._after_page(following, pages, href=href))
        return await self._wait(self._runtime.clock.now())

    def _after_page(self, following: str, pages: int, *, href: str) -> ResumePoint:
        now = self._runtime.clock.now()
        if following and following != href and pages < PAGES_MAX:
            return ResumePoint(self._source.name, now, following, pages)
        return ResumePoint(
            self._source.name, now + self._source.every, pages=pages, finish_time=now
        )

    async def _failed(
        self, point: ResumePoint, failure: FetchFailed | DocumentRefused
    ) -> timedelta:
        """Come back later, ever later; where the page is gone, from the start."""
        wait = timedelta(
            seconds=backoff_s(point.failures, base_s=BACKOFF_BASE_S, max_s=BACKOFF_MAX_S)
        )
        is_gone = False
        if isinstance(failure, FetchFailed):
            wait = max(wait, failure.retry_after)
            is_gone = failure.status in GONE
        now = self._runtime.clock.now()
        await self._save(
            replace(
                point,
                next_time=now + wait,
                next_href="" if is_gone else point.next_href,
                failures=point.failures + 1,
                last_error=str(failure)[:ERROR_CHARACTERS_MAX],
            )
        )
        log.warning("fleet_page_missed", source=self._source.name, error=str(failure))
        return min(wait, LOOK_EVERY)

    def _first_href(self) -> str:
        return f"{self._source.base_url}/Fleet/{self._source.first_page}"

    async def _claim(self, now: datetime) -> ResumePoint | None:
        async def work(tx: Transaction) -> ResumePoint | None:
            return await fleet_source_store.claim_point(
                tx.connection, self._source.name, now=now, until=now + CLAIMED_FOR
            )

        return await self._database.run(work)

    async def _save(self, point: ResumePoint) -> None:
        async def work(tx: Transaction) -> None:
            await fleet_source_store.save_point(tx.connection, point)

        await self._database.run(work)

    async def _wait(self, now: datetime) -> timedelta:
        async with self._database.read() as connection:
            due_at = await fleet_source_store.next_time(connection, self._source.name)
        left = due_at - now if due_at else timedelta()
        return min(max(left, timedelta()), LOOK_EVERY)
