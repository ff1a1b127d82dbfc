"""What becomes of an open work order until it is completed, one transaction a command."""

from uuid import UUID

from services.kit.principals import principal
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.maintenance import work_order_store
from services.maintenance.work_errors import NotAssignedToYou, NotTheWorkshopsTechnician
from services.maintenance.work_lifecycle import WORK_ORDER
from services.maintenance.work_order_handlers import (
    START_WORK,
    lock_idle,
    require_payer,
    require_workshop,
    save,
)
from services.maintenance.work_order_model import (
    HoldReason,
    WorkOrder,
    WorkPlace,
)


async def assign(
    tx: Transaction, order_id: UUID, *, etag: str, technician: str, works_for: str | None
) -> WorkOrder:
    """Give an order to a technician of its workshop.

    Args:
        works_for: The party for which they are a technician; None: for none.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        NotTheWorkshopsTechnician: They are none of the workshop's.
    """
    _, order = await lock_idle(tx, order_id, etag=etag)
    step = WORK_ORDER.next(order.state, "assign", subject=order.name)
    require_workshop(order, "assign")
    if works_for != order.workshop:
        raise NotTheWorkshopsTechnician(technician, order.workshop)
    return await save(tx, order, order.moved(step, at=tx.now, technician=technician))


async def begin_start(tx: Transaction, order_id: UUID, *, etag: str) -> Saga:
    """Begin the work: a machine that is mended in the shop is handed over to it first.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        NotAssignedToYou: Another technician has it.
    """
    _, order = await lock_idle(tx, order_id, etag=etag)
    WORK_ORDER.next(order.state, "start", subject=order.name)
    require_workshop(order, "start")
    if principal().actor != order.technician:
        raise NotAssignedToYou(order.name, order.technician)
    return await tx.start_saga(
        START_WORK,
        order.name,
        facts={
            "machine": order.machine,
            "workshop": order.workshop,
            "in_shop": order.work_place is WorkPlace.SHOP,
        },
    )


async def hold(
    tx: Transaction, order_id: UUID, *, etag: str, reason: HoldReason, note: str
) -> WorkOrder:
    """Stop the work for want of parts or access.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
    """
    _, order = await lock_idle(tx, order_id, etag=etag)
    step = WORK_ORDER.next(order.state, "hold", subject=order.name)
    require_workshop(order, "hold")
    held = order.moved(step, at=tx.now, hold_reason=reason, hold_note=note)
    return await save(tx, order, held)


async def resume(tx: Transaction, order_id: UUID, *, etag: str) -> WorkOrder:
    """Go on with the work.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
    """
    _, order = await lock_idle(tx, order_id, etag=etag)
    step = WORK_ORDER.next(order.state, "resume", subject=order.name)
    require_workshop(order, "resume")
    resumed = order.moved(step, at=tx.now, hold_reason=None, hold_note="")
    return await save(tx, order, resumed)


async def approve_cost(
    tx: Transaction, order_id: UUID, *, etag: str, approved_cost_fen: int
) -> WorkOrder:
    """Let who pays state up to how much the workshop may invoice by itself.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
    """
    _, order = await lock_idle(tx, order_id, etag=etag)
    step = WORK_ORDER.next(order.state, "approve_cost", subject=order.name)
    require_payer(order, "approve the cost of")
    approved = order.moved(step, at=tx.now, approved_cost_fen=approved_cost_fen)
    await work_order_store.update_work_order(tx.connection, approved)
    return approved
