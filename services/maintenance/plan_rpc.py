"""The contract of plan templates and service plans: protobuf to arguments and back."""

from typing import Any

from ironloop.maintenance.v1 import plans_pb2 as pb
from ironloop.maintenance.v1 import plans_pb2_grpc
from ironloop.options.v1 import options_pb2

from services.kit import wire
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.maintenance import (
    machine_clients,
    meter_store,
    plan_handlers,
    plan_store,
    template_handlers,
    template_store,
)
from services.maintenance.plan_model import PlanTrigger, ServicePlan
from services.maintenance.plan_wire import plan_to_wire, tasks_from_wire, template_to_wire


class PlanRpc(plans_pb2_grpc.PlanServiceServicer):
    """Serves ironloop.maintenance.v1.PlanService."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages

    async def CreatePlanTemplate(
        self, request: pb.CreatePlanTemplateRequest, context: Any
    ) -> pb.PlanTemplate:
        """Make a template."""

        async def work(tx: Transaction) -> pb.PlanTemplate:
            return template_to_wire(
                await template_handlers.create_template(
                    tx,
                    owner=_template_owner(),
                    title=request.title,
                    make=request.make,
                    model=request.model,
                    equipment_class=request.equipment_class,
                    tasks=tasks_from_wire(request.tasks),
                )
            )

        return await self._commands.run(request, work)

    async def GetPlanTemplate(
        self, request: pb.GetPlanTemplateRequest, context: Any
    ) -> pb.PlanTemplate:
        """Return a template that the caller may see."""
        template_id = parse_name(request.name, "planTemplates")
        return template_to_wire(
            await template_handlers.get_template(self._database, template_id, viewer=principal())
        )

    async def ListPlanTemplates(
        self, request: pb.ListPlanTemplatesRequest, context: Any
    ) -> pb.ListPlanTemplatesResponse:
        """List the templates that the caller may see, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await template_store.list_templates(
                connection,
                viewer=principal(),
                state=(
                    wire.enum_name(
                        pb.PlanTemplateState, request.state, prefix="PLAN_TEMPLATE_STATE_"
                    )
                    if request.state
                    else None
                ),
                after=page.after[0] if page.after else None,
                limit=page.limit + 1,
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.id,))
        return pb.ListPlanTemplatesResponse(
            templates=[template_to_wire(row) for row in kept], next_page_token=token
        )

    async def RetirePlanTemplate(
        self, request: pb.RetirePlanTemplateRequest, context: Any
    ) -> pb.PlanTemplate:
        """Take a template out of use."""

        async def work(tx: Transaction) -> pb.PlanTemplate:
            template_id = parse_name(request.name, "planTemplates")
            return template_to_wire(
                await template_handlers.retire_template(
                    tx, template_id, owner=_template_owner(), etag=request.etag
                )
            )

        return await self._commands.run(request, work)

    async def OpenServicePlan(
        self, request: pb.OpenServicePlanRequest, context: Any
    ) -> pb.ServicePlan:
        """Open a machine's plan."""
        machine_id = parse_name(request.machine, "machines", field="machine")
        await machine_clients.ensure_known(self._runtime, machine_id, viewer=principal())

        async def work(tx: Transaction) -> pb.ServicePlan:
            plan = await plan_handlers.open_plan(
                tx,
                machine_id,
                template_id=(
                    parse_name(request.template, "planTemplates", field="template")
                    if request.template
                    else None
                ),
                reference=request.reference,
            )
            return await _shown(tx, plan)

        return await self._commands.run(request, work)

    async def GetServicePlan(
        self, request: pb.GetServicePlanRequest, context: Any
    ) -> pb.ServicePlan:
        """Return a plan as it stands today."""
        plan = await plan_handlers.get_plan(
            self._database, parse_name(request.name, "servicePlans"), viewer=principal()
        )
        async with self._database.read() as connection:
            hours = await meter_store.find_hours(connection, plan.machine_id)
        return plan_to_wire(plan, hours=hours, on=self._runtime.clock.today())

    async def ListServicePlans(
        self, request: pb.ListServicePlansRequest, context: Any
    ) -> pb.ListServicePlansResponse:
        """List the plans that the caller may see, the newest first."""
        page = self._pages.open(request)
        async with self._database.read() as connection:
            rows = await plan_store.list_plans(
                connection,
                viewer=principal(),
                machine_id=(
                    parse_name(request.machine, "machines", field="machine")
                    if request.machine
                    else None
                ),
                state=(
                    wire.enum_name(pb.ServicePlanState, request.state, prefix="SERVICE_PLAN_STATE_")
                    if request.state
                    else None
                ),
                overdue_only=request.overdue_only,
                after=page.after[0] if page.after else None,
                limit=page.limit + 1,
            )
            kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.id,))
            hours = await plan_store.list_hours(connection, [row.machine_id for row in kept])
        today = self._runtime.clock.today()
        return pb.ListServicePlansResponse(
            plans=[plan_to_wire(row, hours=hours.get(row.machine_id), on=today) for row in kept],
            next_page_token=token,
        )

    async def TriggerPlanItem(
        self, request: pb.TriggerPlanItemRequest, context: Any
    ) -> pb.ServicePlan:
        """Make an item due at once."""

        async def work(tx: Transaction) -> pb.ServicePlan:
            plan = await plan_handlers.trigger_item(
                tx,
                parse_name(request.name, "servicePlans"),
                etag=request.etag,
                code=request.code,
                trigger=PlanTrigger(
                    wire.enum_name(pb.PlanTrigger, request.trigger, prefix="PLAN_TRIGGER_")
                ),
                note=request.note,
            )
            return await _shown(tx, plan)

        return await self._commands.run(request, work)

    async def CloseServicePlan(
        self, request: pb.CloseServicePlanRequest, context: Any
    ) -> pb.ServicePlan:
        """Close a plan."""

        async def work(tx: Transaction) -> pb.ServicePlan:
            plan_id = parse_name(request.name, "servicePlans")
            return await _shown(tx, await plan_handlers.close_plan(tx, plan_id, etag=request.etag))

        return await self._commands.run(request, work)


def _template_owner() -> str:
    """Return whose templates the caller keeps: its party's, or as operator the platform's."""
    caller = principal()
    return "" if caller.holds(options_pb2.ROLE_OPERATOR) else caller.require_party()


async def _shown(tx: Transaction, plan: ServicePlan) -> pb.ServicePlan:
    hours = await meter_store.find_hours(tx.connection, plan.machine_id)
    return plan_to_wire(plan, hours=hours, on=tx.today)
