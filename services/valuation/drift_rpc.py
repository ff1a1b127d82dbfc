"""The contract's question about drift: how a model fits the sales that arrive."""

from typing import Any

from ironloop.valuation.v1 import drift_pb2

from ml.residual_value.features import PRODUCT_GROUPS
from services.kit.errors import InvalidArgument, NotFound
from services.kit.ids import name
from services.kit.paging import Pages
from services.kit.runtime import Runtime
from services.valuation import drift_messages, label_store
from services.valuation.drift_model import ALL, fits_by_month, last_day, window_start
from services.valuation.registry import Registry

MONTHS_SHOWN = 12  # a year
SEGMENTS = (ALL, *PRODUCT_GROUPS)


class DriftRpc:
    """The part of ValuationService that reads drift."""

    _runtime: Runtime
    _pages: Pages
    _registry: Registry

    async def ListDrift(
        self, request: drift_pb2.ListDriftRequest, context: Any
    ) -> drift_pb2.ListDriftResponse:
        """List how a model fits the sales that arrived, by month."""
        if request.segment and request.segment not in SEGMENTS:
            raise InvalidArgument("segment", f"{request.segment} is none of {', '.join(SEGMENTS)}")
        valuer = self._registry.present
        version = request.model.removeprefix("models/") or valuer.model.version
        model = self._registry.models.get(version)
        if model is None:
            raise NotFound(request.model)
        group = request.segment if request.segment not in ("", ALL) else None
        request.page_size = request.page_size or MONTHS_SHOWN
        page = self._pages.open(request)
        async with self._runtime.database.read() as connection:
            months = await label_store.list_months(
                connection,
                version,
                group=group,
                before=page.after[0] if page.after else None,
                limit=page.limit + 1,
            )
            kept, token = self._pages.cut(request, page, months, key=lambda month: (month,))
            labels = (
                await label_store.list_labels(
                    connection,
                    since=window_start(valuer.policy, kept[-1]),
                    until=last_day(kept[0]),
                    group=group,
                    model=version,
                )
                if kept
                else []
            )
            alarms = await label_store.list_segments(connection)
        fits = fits_by_month(
            valuer.policy,
            labels,
            model.calibration.drift_bins,
            months=kept,
            today=self._runtime.clock.today(),
        )
        wanted = {request.segment} if request.segment else set(SEGMENTS)
        return drift_pb2.ListDriftResponse(
            months=[
                drift_messages.month_to_wire(month, own, valuer.policy, wanted=wanted)
                for month, own in fits
            ],
            next_page_token=token,
            alarms=[
                drift_messages.alarm_to_wire(alarm, valuer.policy)
                for alarm in alarms
                if alarm.segment in wanted
            ],
            model=name("models", version),
            policy=name("policies", valuer.policy.version),
        )
