"""What plans, orders and exchanges learn from events: of leases, and what became of cores."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from google.protobuf.message import Message
from ironloop.leasing.v1 import leasing_events_pb2 as leasing
from ironloop.remanufacturing.v1 import remanufacturing_events_pb2 as reman

from services.kit import wire
from services.kit.consumer import EventHandler
from services.kit.errors import Unavailable
from services.kit.ids import parse_name
from services.kit.sagas import SagaRunning
from services.kit.transaction import Transaction
from services.maintenance import exchange_handlers, exchange_store
from services.maintenance.exchange_model import CoreOutcome
from services.maintenance.lease_sagas import DRAFT_RETURNED, FOLLOW_LEASE

WORK_ORDERS = "workOrders/"


class ExchangeNotReady(Unavailable):
    """A core's event waits for the exchange whose deposit it is about."""

    reason = "EXCHANGE_NOT_READY"

    def __init__(self, core_return: str) -> None:
        super().__init__(f"the exchange of {core_return} is still being written", retry_after_s=0.2)


async def open_leased_plan(tx: Transaction, event: leasing.LeaseActivated) -> None:
    """Open the plan of a machine that went out on lease, or keep the one it has for the lease."""
    try:
        await tx.start_saga(
            FOLLOW_LEASE, event.machine, facts={"machine": event.machine, "lease": event.lease}
        )
    except SagaRunning as running:
        # The plan of its lease before is still being opened; this one follows it.
        raise Unavailable(running.message) from running


async def draft_returned_order(tx: Transaction, event: leasing.ReturnInspected) -> None:
    """Draft what is to be done on a machine that came back from its lease."""
    await tx.start_saga(
        DRAFT_RETURNED,
        event.lease,
        facts={
            "machine": event.machine,
            "lease": event.lease,
            "lessor": event.lessor,
            "condition": event.condition,
            "is_damaged": wire.fen(event.damage_charge, field="damage_charge") > 0,
        },
    )


async def note_authorised(tx: Transaction, event: reman.CoreReturnAuthorised) -> None:
    """Show that the core may be sent."""
    await _note(tx, event, "CORE_AUTHORISED", event.rma_number)


async def note_received(tx: Transaction, event: reman.CoreReceived) -> None:
    """Show that the core came in."""
    await _note(tx, event, "CORE_RECEIVED", f"{event.part_number}, {event.serial_number}")


async def note_graded(tx: Transaction, event: reman.CoreGraded) -> None:
    """Show how the core was graded."""
    await _note(tx, event, "CORE_GRADED", ", ".join(event.codes) or "without codes")


async def settle_credited(tx: Transaction, event: reman.CoreCredited) -> None:
    """Close the exchange whose core was credited."""
    await _settle(tx, event, CoreOutcome.CREDITED, wire.fen(event.credit, field="credit"))


async def settle_forfeited(tx: Transaction, event: reman.CoreForfeited) -> None:
    """Close the exchange whose core did not come back."""
    await _settle(tx, event, CoreOutcome.FORFEITED, 0)


async def settle_rejected(tx: Transaction, event: reman.CoreRejected) -> None:
    """Close the exchange whose core was sent back."""
    await _settle(tx, event, CoreOutcome.REJECTED, 0)


async def _note(tx: Transaction, event: Any, step: str, detail: str) -> None:
    if exchange_id := await _exchange_of(tx, event):
        await exchange_handlers.note_core(tx, exchange_id, step=step, detail=detail)


async def _settle(tx: Transaction, event: Any, outcome: CoreOutcome, credit_fen: int) -> None:
    if exchange_id := await _exchange_of(tx, event):
        await exchange_handlers.settle_core(tx, exchange_id, outcome, credit_fen=credit_fen)


async def _exchange_of(tx: Transaction, event: Any) -> UUID | None:
    """Return the exchange of a core return; None for cores that no exchange of ours is about.

    Raises:
        ExchangeNotReady: Its deposit is charged, and the saga that writes so is not done yet.
    """
    found = await exchange_store.find_by_core_return(tx.connection, event.core_return)
    if found is not None or not event.work_order.startswith(WORK_ORDERS):
        return found
    order_id = parse_name(event.work_order, "workOrders", field="work_order")
    if await exchange_store.is_charging(tx.connection, order_id):
        raise ExchangeNotReady(event.core_return)
    return None


CONSUMES: Mapping[type[Message], EventHandler] = {
    leasing.LeaseActivated: open_leased_plan,
    leasing.ReturnInspected: draft_returned_order,
    reman.CoreReturnAuthorised: note_authorised,
    reman.CoreReceived: note_received,
    reman.CoreGraded: note_graded,
    reman.CoreCredited: settle_credited,
    reman.CoreForfeited: settle_forfeited,
    reman.CoreRejected: settle_rejected,
}
