"""The state machines of templates, plans, work orders and exchanges (domain.md, section 3.2)."""

from ironloop.maintenance.v1 import maintenance_events_pb2 as events

from services.kit.lifecycle import Lifecycle, Transition
from services.maintenance.exchange_model import ExchangeState
from services.maintenance.plan_model import PlanState
from services.maintenance.template_model import TemplateState
from services.maintenance.work_order_model import WorkOrderState

_BEFORE_COMPLETED = (
    WorkOrderState.DRAFT,
    WorkOrderState.OPEN,
    WorkOrderState.ASSIGNED,
    WorkOrderState.IN_PROGRESS,
    WorkOrderState.ON_HOLD,
)

TEMPLATE = Lifecycle(
    "plan template",
    [
        Transition(TemplateState.ACTIVE, "open_plan", TemplateState.ACTIVE),
        Transition(TemplateState.ACTIVE, "retire", TemplateState.RETIRED),
    ],
)

PLAN = Lifecycle(
    "service plan",
    [
        Transition(PlanState.ACTIVE, "trigger", PlanState.ACTIVE),
        Transition(PlanState.ACTIVE, "serve", PlanState.ACTIVE),
        Transition(PlanState.ACTIVE, "close", PlanState.CLOSED, events.ComplianceChanged),
    ],
)


def _step(
    source: WorkOrderState, command: str, target: WorkOrderState, guard: str = ""
) -> Transition[WorkOrderState]:
    return Transition(source, command, target, events.WorkOrderStateChanged, guard)


WORK_ORDER = Lifecycle(
    "work order",
    [
        _step(WorkOrderState.DRAFT, "open", WorkOrderState.OPEN, "its faults are open"),
        _step(WorkOrderState.OPEN, "assign", WorkOrderState.ASSIGNED),
        _step(WorkOrderState.ASSIGNED, "assign", WorkOrderState.ASSIGNED),
        _step(
            WorkOrderState.ASSIGNED,
            "start",
            WorkOrderState.IN_PROGRESS,
            "by its technician; work in the shop: the machine was handed over",
        ),
        _step(WorkOrderState.IN_PROGRESS, "hold", WorkOrderState.ON_HOLD, "for parts or access"),
        _step(WorkOrderState.ON_HOLD, "resume", WorkOrderState.IN_PROGRESS),
        _step(
            WorkOrderState.IN_PROGRESS,
            "complete",
            WorkOrderState.COMPLETED,
            "hours, parts and labour are stated; its exchanges are shipped or given up",
        ),
        _step(
            WorkOrderState.COMPLETED,
            "verify",
            WorkOrderState.VERIFIED,
            "by a person who neither completed it nor worked on it",
        ),
        _step(
            WorkOrderState.VERIFIED,
            "invoice",
            WorkOrderState.INVOICED,
            "within the approved cost, or by who pays; the money has moved",
        ),
        _step(
            WorkOrderState.INVOICED,
            "close",
            WorkOrderState.CLOSED,
            "its exchanges are installed by their record",
        ),
        *(
            _step(
                source,
                "cancel",
                WorkOrderState.CANCELLED,
                "no exchange is under way; a machine in the shop goes back",
            )
            for source in _BEFORE_COMPLETED
        ),
        *(
            Transition(source, "approve_cost", source)
            for source in (*_BEFORE_COMPLETED, WorkOrderState.COMPLETED, WorkOrderState.VERIFIED)
        ),
        *(
            Transition(source, "request_exchange", source)
            for source in (
                WorkOrderState.OPEN,
                WorkOrderState.ASSIGNED,
                WorkOrderState.IN_PROGRESS,
                WorkOrderState.ON_HOLD,
            )
        ),
    ],
)


def _move(
    source: ExchangeState, command: str, target: ExchangeState, guard: str = ""
) -> Transition[ExchangeState]:
    return Transition(source, command, target, events.ExchangeStateChanged, guard)


EXCHANGE = Lifecycle(
    "exchange",
    [
        _move(ExchangeState.REQUESTED, "reserve_unit", ExchangeState.UNIT_RESERVED),
        _move(
            ExchangeState.UNIT_RESERVED,
            "charge_deposit",
            ExchangeState.DEPOSIT_CHARGED,
            "settlement holds the deposit",
        ),
        _move(ExchangeState.DEPOSIT_CHARGED, "ship", ExchangeState.SHIPPED),
        _move(ExchangeState.SHIPPED, "fit", ExchangeState.FITTED, "its work order is completed"),
        _move(
            ExchangeState.FITTED,
            "install",
            ExchangeState.INSTALLED,
            "remanufacturing and the register have the unit on the machine",
        ),
        *(
            Transition(source, "settle_core", source)
            for source in (
                ExchangeState.DEPOSIT_CHARGED,
                ExchangeState.SHIPPED,
                ExchangeState.FITTED,
            )
        ),
        _move(
            ExchangeState.INSTALLED,
            "settle_core",
            ExchangeState.CLOSED,
            "the core was credited, forfeited or rejected",
        ),
        *(
            _move(source, "refuse", ExchangeState.CANCELLED, "what was done is undone")
            for source in (ExchangeState.REQUESTED, ExchangeState.UNIT_RESERVED)
        ),
        *(
            _move(source, "cancel", ExchangeState.CANCELLED, "the core has not ended")
            for source in (ExchangeState.DEPOSIT_CHARGED, ExchangeState.SHIPPED)
        ),
    ],
)
