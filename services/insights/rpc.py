"""The contract of insights: protobuf to arguments and back, nothing else."""

from typing import Any

from ironloop.insights.v1 import insights_pb2 as pb
from ironloop.insights.v1 import insights_pb2_grpc

from services.insights import handlers
from services.insights.turnover_model import Period, Turnover
from services.kit import wire
from services.kit.connection import Row
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime


class InsightsRpc(insights_pb2_grpc.InsightsServiceServicer):
    """Serves ironloop.insights.v1.InsightsService."""

    def __init__(self, runtime: Runtime) -> None:
        self._database = runtime.database
        self._pages = runtime.pages

    async def GetTurnover(self, request: pb.GetTurnoverRequest, context: Any) -> pb.Turnover:
        """Return a fleet's turnover over a period."""
        viewer = principal()
        owner = request.owner or viewer.require_party()
        async with self._database.snapshot() as connection:
            turnover = await handlers.get_turnover(
                connection,
                owner,
                Period(
                    wire.to_date(request.from_date, field="from_date"),
                    wire.to_date(request.to_date, field="to_date"),
                ),
                machines=[
                    parse_name(machine, "machines", field="machines")
                    for machine in request.machines
                ],
                viewer=viewer,
            )
        return _turnover_to_wire(owner, turnover)

    async def ListMachineTimeline(
        self, request: pb.ListMachineTimelineRequest, context: Any
    ) -> pb.ListMachineTimelineResponse:
        """List what happened to a machine."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await handlers.list_timeline(
                connection,
                parse_name(request.machine, "machines", field="machine"),
                after=(page.after[0], page.after[1]) if page.after else None,
                limit=page.limit + 1,
                viewer=principal(),
            )
        kept, token = self._pages.cut(
            request, page, rows, key=lambda row: (row["event_time"], row["number"])
        )
        return pb.ListMachineTimelineResponse(
            entries=[_entry_to_wire(row) for row in kept], next_page_token=token
        )


def _turnover_to_wire(owner: str, turnover: Turnover) -> pb.Turnover:
    facts = turnover.facts
    returned = sum(core.is_returned for core in facts.cores)
    return pb.Turnover(
        owner=owner,
        from_date=wire.date(turnover.period.start),
        to_date=wire.date(turnover.period.end),
        machine_count=turnover.machine_count,
        owned_days=turnover.owned_days,
        available_days=turnover.available_days,
        on_rent_days=turnover.on_rent_days,
        time_utilisation=wire.optional_decimal(turnover.time_utilisation),
        rent=wire.money(turnover.rent_fen),
        equipment_cost=wire.money(turnover.equipment_cost_fen),
        dollar_utilisation=wire.optional_decimal(turnover.dollar_utilisation),
        return_to_relist=pb.Span(
            count=len(facts.return_to_relist_days),
            mean_days=wire.optional_decimal(turnover.return_to_relist),
        ),
        relist_to_redeploy=pb.Span(
            count=len(facts.relist_to_redeploy_days),
            mean_days=wire.optional_decimal(turnover.relist_to_redeploy),
        ),
        listed_to_sold=pb.Span(
            count=len(facts.listed_to_sold_days),
            mean_days=wire.optional_decimal(turnover.listed_to_sold),
        ),
        reliability=pb.Reliability(
            failures=len(facts.downtime_hours),
            hours_run=wire.decimal(turnover.hours_run),
            downtime_hours=wire.decimal(turnover.downtime_hours),
            mtbf=wire.optional_decimal(turnover.mtbf_hours),
            mttr=wire.optional_decimal(turnover.mttr_hours),
            availability=wire.optional_decimal(turnover.availability),
        ),
        outstanding=wire.money(turnover.outstanding_fen),
        days_sales_outstanding=wire.optional_decimal(turnover.days_sales_outstanding),
        cores=pb.CoreReturns(
            returned=returned,
            lost=len(facts.cores) - returned,
            return_rate=wire.optional_decimal(turnover.core_return_rate),
            mean_cycle_days=wire.optional_decimal(turnover.core_cycle_days),
        ),
    )


def _entry_to_wire(row: Row) -> pb.TimelineEntry:
    return pb.TimelineEntry(
        event_time=wire.instant(row["event_time"]),
        event=row["event"],
        reference=row["reference"],
        party=row["party"],
        amount=None if row["amount"] is None else wire.money(row["amount"]),
        hours=wire.optional_decimal(row["hours"]),
        note=row["note"],
    )
