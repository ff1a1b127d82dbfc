"""What is done with exchanges, one transaction a command; each one leaves a step to be read."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from uuid import UUID

from ironloop.maintenance.v1 import maintenance_events_pb2 as events
from ironloop.options.v1 import options_pb2

from services.kit import sagas
from services.kit.amounts import yuan
from services.kit.database import Database
from services.kit.errors import DomainError, NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.principals import Principal, principal
from services.kit.sagas import Facts, Saga
from services.kit.transaction import Transaction
from services.maintenance import exchange_store, work_order_store
from services.maintenance.exchange_model import (
    CoreOutcome,
    Exchange,
    ExchangeState,
    Waybill,
)
from services.maintenance.exchange_wire import outcome_number, state_number
from services.maintenance.work_errors import CoreSettled, CostNotApproved, NotAPartyToThis
from services.maintenance.work_lifecycle import EXCHANGE, WORK_ORDER
from services.maintenance.work_order_handlers import lock as lock_order
from services.maintenance.work_order_handlers import require_side
from services.maintenance.work_order_model import WorkOrder

REQUEST_EXCHANGE = "exchange_request"
INSTALL_EXCHANGE = "exchange_install"
CANCEL_EXCHANGE = "exchange_cancel"


async def get_exchange(database: Database, exchange_id: UUID, *, viewer: Principal) -> Exchange:
    """Return an exchange.

    Raises:
        NotFound: There is none that the viewer may see.
    """
    async with database.read() as connection:
        exchange = await exchange_store.find_exchange(connection, exchange_id, viewer=viewer)
    if exchange is None:
        raise NotFound(name("exchanges", exchange_id))
    return exchange


async def begin_request(
    tx: Transaction, order_id: UUID, *, part_family: str, deposit_fen: int | None, position: str
) -> Saga:
    """Begin to ask for a unit for a work order.

    Raises:
        NotFound, NotAPartyToThis, SagaRunning, TransitionRefused: As they say.
        CostNotApproved: The workshop would charge its payer a deposit that is not approved.
    """
    _, order = await lock_order(tx, order_id)
    await sagas.require_idle(tx.connection, order.name)
    WORK_ORDER.next(order.state, "request_exchange", subject=order.name)
    require_side(order, "request an exchange for")
    payer = payer_of(order)
    _check_may_charge(order, payer, deposit_fen)
    exchange = Exchange(
        id=new_id(),
        version=1,
        event_sequence=1,
        state=ExchangeState.REQUESTED,
        work_order_id=order.id,
        machine_id=order.machine_id,
        payer=payer,
        part_family=part_family,
        position=position,
        create_time=tx.now,
        update_time=tx.now,
    )
    await exchange_store.insert_exchange(tx.connection, exchange)
    await _note(tx, exchange, "REQUEST", f"a unit of {part_family} for {order.name}")
    await tx.emit(_state_changed(exchange))
    return await tx.start_saga(
        REQUEST_EXCHANGE,
        exchange.name,
        facts={
            "part_family": part_family,
            "payer": payer,
            "machine": order.machine,
            "work_order": order.name,
            "deposit_fen": deposit_fen,
        },
    )


async def mark_reserved(
    tx: Transaction, exchange_id: UUID, *, unit: str, price_fen: int, remanufacturer: str
) -> None:
    """Write that a unit is held for an exchange."""
    exchange = await lock(tx, exchange_id)
    step = EXCHANGE.next(exchange.state, "reserve_unit", subject=exchange.name)
    reserved = exchange.moved(
        step, at=tx.now, unit=unit, unit_price_fen=price_fen, remanufacturer=remanufacturer
    )
    await _save(tx, reserved, "RESERVE_UNIT", f"{unit} at {yuan(price_fen)}")


async def mark_charged(
    tx: Transaction, exchange_id: UUID, *, core_return: str, deposit_fen: int
) -> Exchange:
    """Write that the core's deposit is held."""
    exchange = await lock(tx, exchange_id)
    step = EXCHANGE.next(exchange.state, "charge_deposit", subject=exchange.name)
    charged = exchange.moved(step, at=tx.now, core_return=core_return, deposit_fen=deposit_fen)
    return await _save(
        tx, charged, "CHARGE_DEPOSIT", f"{yuan(deposit_fen)} of {exchange.payer}, {core_return}"
    )


async def mark_refused(tx: Transaction, exchange_id: UUID, refusal: DomainError) -> None:
    """Write that a unit could not be had, or its deposit not be charged; the unit is free again."""
    exchange = await lock(tx, exchange_id)
    step = EXCHANGE.next(exchange.state, "refuse", subject=exchange.name)
    if exchange.unit:
        await _note(tx, exchange, "RELEASE_UNIT", exchange.unit)
    refused = exchange.moved(step, at=tx.now, cancel_reason=refusal.reason)
    await _save(tx, refused, "REFUSED", f"{refusal.reason}: {refusal.message}")


async def ship(tx: Transaction, exchange_id: UUID, *, etag: str, waybill: Waybill) -> Exchange:
    """Write that a unit was sent to the workshop.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
    """
    order, exchange = await _lock_idle(tx, exchange_id, etag=etag)
    step = EXCHANGE.next(exchange.state, "ship", subject=exchange.name)
    caller = principal()
    sides = (order.workshop, exchange.remanufacturer)
    if caller.party not in sides and not caller.holds(options_pb2.ROLE_SERVICE):
        raise NotAPartyToThis("ship", side="workshop or remanufacturer", subject=exchange.name)
    return await _save(tx, exchange.moved(step, at=tx.now, waybill=waybill), "SHIP", waybill.uri)


async def fit(
    tx: Transaction, exchange: Exchange, *, removed_serial: str, hours: Decimal | None
) -> None:
    """Write that the unit of a locked exchange went in; its record is written by a saga."""
    step = EXCHANGE.next(exchange.state, "fit", subject=exchange.name)
    fitted = exchange.moved(step, at=tx.now, removed_serial=removed_serial, install_hours=hours)
    await _save(tx, fitted, "FIT", f"{removed_serial} came out at {hours} h")
    await tx.start_saga(
        INSTALL_EXCHANGE,
        exchange.name,
        facts={
            "unit": exchange.unit,
            "machine": exchange.machine,
            "work_order": exchange.work_order,
            "hours": str(hours),
            "removed_serial": removed_serial,
            "position": exchange.position,
        },
    )


async def mark_installed(tx: Transaction, exchange_id: UUID) -> None:
    """Write that the unit is on the machine's record; a core that has ended ends the exchange."""
    exchange = await lock(tx, exchange_id)
    step = EXCHANGE.next(exchange.state, "install", subject=exchange.name)
    installed = await _save(
        tx, exchange.moved(step, at=tx.now), "INSTALL_UNIT", f"{exchange.unit} in its machine"
    )
    if installed.core_outcome is not None:
        step = EXCHANGE.next(installed.state, "settle_core", subject=exchange.name)
        await _save(tx, installed.moved(step, at=tx.now), "CLOSE", installed.core_outcome.value)


async def begin_cancel(tx: Transaction, exchange_id: UUID, *, etag: str, reason: str) -> Saga:
    """Begin to give up an exchange whose unit is not in the machine.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        CoreSettled: Its core has ended.
    """
    order, exchange = await _lock_idle(tx, exchange_id, etag=etag)
    EXCHANGE.next(exchange.state, "cancel", subject=exchange.name)
    require_side(order, "cancel an exchange of")
    if exchange.core_outcome is not None:
        raise CoreSettled(exchange.name, exchange.core_outcome.value)
    return await tx.start_saga(
        CANCEL_EXCHANGE,
        exchange.name,
        facts={
            "unit": exchange.unit,
            "core_return": exchange.core_return,
            "reason": reason,
        },
    )


async def note_refund(tx: Transaction, exchange_id: UUID) -> None:
    """Write that the deposit of an exchange that is given up went back."""
    exchange = await lock(tx, exchange_id)
    await _note(tx, exchange, "REFUND_DEPOSIT", f"{yuan(exchange.deposit_fen)}")


async def mark_cancelled(tx: Transaction, exchange_id: UUID, *, reason: str) -> Exchange:
    """Write that an exchange is given up: its deposit is back and its unit free."""
    exchange = await lock(tx, exchange_id)
    step = EXCHANGE.next(exchange.state, "cancel", subject=exchange.name)
    await _note(tx, exchange, "RELEASE_UNIT", exchange.unit)
    return await _save(tx, exchange.moved(step, at=tx.now, cancel_reason=reason), "CANCEL", reason)


async def note_core(tx: Transaction, exchange_id: UUID, *, step: str, detail: str) -> None:
    """Write what has become of the core on its way, where an exchange has one."""
    exchange = await lock(tx, exchange_id)
    await _note(tx, exchange, step, detail)


async def settle_core(
    tx: Transaction, exchange_id: UUID, outcome: CoreOutcome, *, credit_fen: int
) -> None:
    """Write how the core ended; an exchange whose unit is installed is closed by it."""
    exchange = await lock(tx, exchange_id)
    if exchange.core_outcome is not None or exchange.state is ExchangeState.CANCELLED:
        return
    step = EXCHANGE.next(exchange.state, "settle_core", subject=exchange.name)
    settled = exchange.moved(step, at=tx.now, core_outcome=outcome, credit_fen=credit_fen)
    detail = f"{yuan(credit_fen)} of {yuan(exchange.deposit_fen)} credited"
    await _save(tx, settled, f"CORE_{outcome.value}", detail, is_told=step.event is not None)


async def lock(tx: Transaction, exchange_id: UUID) -> Exchange:
    """Return an exchange, locked for change.

    Raises:
        NotFound: There is none.
    """
    exchange = await exchange_store.lock_exchange(tx.connection, exchange_id)
    if exchange is None:
        raise NotFound(name("exchanges", exchange_id))
    return exchange


def payer_of(order: WorkOrder) -> str:
    """Return who bears an exchange of an order: under a warranty the workshop."""
    return order.workshop if order.warranty_of else order.payer


def bill_of(order: WorkOrder, exchanges: Iterable[Exchange]) -> Facts:
    """Return what is to be paid for a completed order, and to whom."""
    assert order.completion is not None, "a completed order says how"
    units = [
        {
            "exchange": exchange.name,
            "remanufacturer": exchange.remanufacturer,
            "amount_fen": exchange.unit_price_fen,
        }
        for exchange in exchanges
        if exchange.state is not ExchangeState.CANCELLED
    ]
    bill: dict[str, Any] = {
        "payer": order.payer,
        "workshop": order.workshop,
        "work_fen": order.completion.cost.work_fen,
        "unit_payer": payer_of(order),
        "units": units,
    }
    return bill


def _check_may_charge(order: WorkOrder, payer: str, deposit_fen: int | None) -> None:
    """Check that the caller may have the payer charged.

    Raises:
        NotAPartyToThis: The workshop's warranty bears it, and the caller is not the workshop.
        CostNotApproved: The workshop asks, and the payer has not approved that much.
    """
    caller = principal()
    if caller.holds(options_pb2.ROLE_SERVICE) or caller.party == payer:
        return
    if payer == order.workshop:
        raise NotAPartyToThis("request an exchange for", side="workshop", subject=order.name)
    if deposit_fen is None or deposit_fen > order.approved_cost_fen:
        raise CostNotApproved(
            order.name, total_fen=deposit_fen or 0, approved_fen=order.approved_cost_fen
        )


async def _lock_idle(
    tx: Transaction, exchange_id: UUID, *, etag: str
) -> tuple[WorkOrder, Exchange]:
    """Return an exchange that the caller may see, locked, that no saga works on; and its order."""
    seen = await exchange_store.find_exchange(tx.connection, exchange_id, viewer=principal())
    if seen is None:
        raise NotFound(name("exchanges", exchange_id))
    order = await work_order_store.lock_work_order(tx.connection, seen.work_order_id)
    assert order is not None, "an exchange has a work order"
    exchange = await lock(tx, exchange_id)
    await sagas.require_idle(tx.connection, exchange.name)
    check_etag(etag, exchange.version)
    return order, exchange


async def _save(
    tx: Transaction, exchange: Exchange, step: str, detail: str, *, is_told: bool = True
) -> Exchange:
    """Write an exchange and its step, and tell of its state."""
    await exchange_store.update_exchange(tx.connection, exchange)
    await _note(tx, exchange, step, detail)
    if is_told:
        await tx.emit(_state_changed(exchange))
    return exchange


async def _note(tx: Transaction, exchange: Exchange, step: str, detail: str) -> None:
    await exchange_store.append_step(
        tx.connection, exchange.id, step, detail=detail, actor=principal().actor, at=tx.now
    )


def _state_changed(exchange: Exchange) -> events.ExchangeStateChanged:
    return events.ExchangeStateChanged(
        exchange=exchange.name,
        sequence=exchange.event_sequence,
        machine=exchange.machine,
        work_order=exchange.work_order,
        state=state_number(exchange.state),
        unit=exchange.unit,
        core_return=exchange.core_return,
        core_outcome=outcome_number(exchange.core_outcome),
    )
