"""Health by grpc.health.v1: NOT_SERVING while PostgreSQL is away, SERVING once it is back."""

import asyncio
from collections.abc import Sequence

import structlog
from grpc_health.v1 import health_pb2
from grpc_health.v1._async import HealthServicer

from services.kit.database import Database

CHECK_EVERY_S = 1.0
ANSWER_WITHIN_S = 2.0

log = structlog.get_logger(__name__)


class HealthWatch:
    """Keeps the health service's answers true."""

    def __init__(
        self, servicer: HealthServicer, database: Database, services: Sequence[str]
    ) -> None:
        self._servicer = servicer
        self._database = database
        self._services = ("", *services)
        self._was_alive: bool | None = None

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            try:
                await self.check()
            except Exception as error:
                log.error("health_check_failed", exc_info=error)

    async def check(self) -> None:
        """Look once and publish what was seen."""
        alive = await self._database.is_alive(timeout_s=ANSWER_WITHIN_S)
        if alive == self._was_alive:
            return
        log.info("health_changed", serving=alive)
        self._was_alive = alive
        status = (
            health_pb2.HealthCheckResponse.SERVING
            if alive
            else (health_pb2.HealthCheckResponse.NOT_SERVING)
        )
        for service in self._services:
            await self._servicer.set(service, status)
