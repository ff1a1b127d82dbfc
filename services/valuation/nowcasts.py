"""The sums that nowcasts are made of, at hand in every replica, so that no value waits for them."""

import asyncio
from collections.abc import Mapping
from datetime import date

import structlog

from services.kit.database import Database
from services.valuation import nowcast_store
from services.valuation.appraisal import Valuer
from services.valuation.model import Nowcast
from services.valuation.nowcast_model import MonthSums, nowcast_of, nowcasts_of
from services.valuation.registry import Registry

LOOK_EVERY_S = 2.0

log = structlog.get_logger(__name__)


class Nowcasts:
    """The sales of each month under the champion, as they were a moment ago."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry
        self._model = ""
        self._sums: list[MonthSums] = []

    async def refresh(self) -> None:
        """Read the sums of the present champion."""
        model = self._registry.present.model
        async with self._database.read() as connection:
            sums = await nowcast_store.list_sums(connection, model.version)
        self._model = model.version
        self._sums = [one for one in sums if one.month > model.window_end]

    async def run(self) -> None:
        """Refresh for as long as the service runs."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.refresh()
            except Exception as error:
                log.warning("nowcasts_not_refreshed", error=repr(error))

    def find(self, valuer: Valuer, equipment_class: str, *, as_of: date) -> Nowcast | None:
        """Return the nowcast of a class as of a date; None where too few sales say anything."""
        if equipment_class not in valuer.policy.classes:
            return None
        group = valuer.policy.product_group(equipment_class)
        return nowcast_of(valuer.policy, self._of(valuer), group=group, as_of=as_of)

    def by_group(self, valuer: Valuer, *, as_of: date) -> Mapping[str, Nowcast]:
        """Return the nowcast of each product group that has one as of a date."""
        return nowcasts_of(valuer.policy, self._of(valuer), as_of=as_of)

    def _of(self, valuer: Valuer) -> list[MonthSums]:
        """Return the sums of a valuer's model: none in the moment after another was promoted."""
        return self._sums if valuer.model.version == self._model else []
