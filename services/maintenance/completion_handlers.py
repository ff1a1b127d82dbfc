"""How work orders end: completed, verified, invoiced, closed, or cancelled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from uuid import UUID

from ironloop.maintenance.v1 import maintenance_events_pb2 as events

from services.kit import sagas, wire
from services.kit.clock import business_date
from services.kit.errors import InvalidArgument, NotFound
from services.kit.ids import name
from services.kit.principals import principal, service_principal
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.maintenance import (
    exchange_handlers,
    exchange_store,
    meter_handlers,
    meter_store,
    plan_handlers,
    work_fault_handlers,
    work_order_store,
)
from services.maintenance.exchange_model import UNDER_WAY, Exchange, ExchangeState
from services.maintenance.machine_model import MonitoredMachine
from services.maintenance.measures import shown_hours
from services.maintenance.meter_model import MeterKind, ReadingState, rise_max
from services.maintenance.work_errors import (
    CostNotApproved,
    DowntimeTooLong,
    ExchangeNotInstalled,
    ExchangeNotShipped,
    ExchangeUnderWay,
    HoursImplausible,
    RemovedSerialMissing,
    SamePerson,
    TotalTooLarge,
)
from services.maintenance.work_lifecycle import WORK_ORDER
from services.maintenance.work_order_handlers import (
    lock,
    lock_idle,
    require_side,
    require_workshop,
    save,
)
from services.maintenance.work_order_model import (
    COST_FEN_MAX,
    DOWNTIME_HOURS_MAX,
    HOURS_PLACES,
    Completion,
    WorkCost,
    WorkLabour,
    WorkOrder,
    WorkPart,
    cost_of,
    down_for,
    warranty_end,
)
from services.maintenance.work_order_wire import (
    class_number,
    cost_to_wire,
    fault_names,
    part_to_wire,
)

VERIFY_WORK = "work_order_verify"
INVOICE_WORK = "work_order_invoice"
CANCEL_WORK = "work_order_cancel"
INSTALL_HOURS_MAX = Decimal(200_000)  # what remanufacturing and the register take


@dataclass(frozen=True, slots=True)
class Report:
    """What is reported of finished work.

    Attributes:
        hours: What the meter shows; None: as last accepted.
        downtime_hours: None: since the machine stopped working.
        removals: The serial number of what came out, by exchange.
    """

    hours: Decimal | None
    downtime_hours: Decimal | None
    findings: str
    parts: tuple[WorkPart, ...]
    with_planned_parts: bool
    labour: tuple[WorkLabour, ...]
    removals: Mapping[UUID, str]
    warranty_months: int
    warranty_hours: int


async def complete(tx: Transaction, order_id: UUID, report: Report, *, etag: str) -> WorkOrder:
    """Write that work is done, clear its faults, and have its exchanges recorded.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        ExchangeNotShipped, RemovedSerialMissing: An exchange of the order is not ready.
        HoursImplausible, DowntimeTooLong, TotalTooLarge: What is reported cannot be.
    """
    if report.hours is not None:
        await _report_hours(tx, order_id, report.hours)
    machine, order = await lock_idle(tx, order_id, etag=etag)
    step = WORK_ORDER.next(order.state, "complete", subject=order.name)
    require_workshop(order, "complete")
    fitted = await _fitted(tx, order, report.removals)
    hours = await meter_store.find_hours(tx.connection, machine.id)
    if fitted and (hours is None or hours > INSTALL_HOURS_MAX):
        raise InvalidArgument(
            "hours", f"must be known and at most {INSTALL_HOURS_MAX:f}: a unit went in"
        )
    completion = _completion(tx, order, report, hours=hours, fitted=fitted)
    done = order.moved(step, at=tx.now, completion=completion)
    await work_order_store.insert_lines(tx.connection, order.id, completion)
    await save(tx, order, done)
    await work_fault_handlers.clear(tx, machine, order.fault_ids)
    for exchange in fitted:
        await exchange_handlers.fit(
            tx, exchange, removed_serial=report.removals[exchange.id], hours=hours
        )
    await _tell_completed(tx, machine, done, completion, fitted, report.removals)
    return done


async def begin_verification(tx: Transaction, order_id: UUID, *, etag: str) -> Saga:
    """Let another person confirm what was done; a machine in the shop goes back.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        SamePerson: The caller completed it or worked on it.
    """
    _, order = await lock_idle(tx, order_id, etag=etag)
    WORK_ORDER.next(order.state, "verify", subject=order.name)
    require_side(order, "verify")
    verifier = principal().actor
    if verifier in order.people():
        raise SamePerson(order.name, verifier)
    return await tx.start_saga(VERIFY_WORK, order.name, facts={"verifier": verifier})


async def mark_verified(tx: Transaction, order_id: UUID, *, verifier: str) -> None:
    """Write that work is verified: the items of the plan that it did count as done."""
    machine, order = await lock(tx, order_id)
    step = WORK_ORDER.next(order.state, "verify", subject=order.name)
    verified = order.moved(step, at=tx.now, verifier=verifier, verify_time=tx.now)
    await save(tx, order, verified)
    done = order.completion
    assert done is not None, "a completed order says how"
    if order.plan_id is not None:
        await plan_handlers.serve(
            tx,
            machine,
            order.plan_id,
            order.plan_items,
            work_order_id=order.id,
            hours=done.hours,
            on=business_date(done.complete_time),
        )


async def begin_invoice(tx: Transaction, order_id: UUID, *, etag: str) -> Saga:
    """Begin to invoice and pay an order.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        CostNotApproved: The workshop asks for more than its payer has approved.
    """
    _, order = await lock_idle(tx, order_id, etag=etag)
    WORK_ORDER.next(order.state, "invoice", subject=order.name)
    require_side(order, "invoice")
    assert order.completion is not None, "a verified order says how it was completed"
    total_fen = order.completion.cost.total_fen
    if principal().party == order.workshop != order.payer and total_fen > order.approved_cost_fen:
        raise CostNotApproved(order.name, total_fen=total_fen, approved_fen=order.approved_cost_fen)
    exchanges = await exchange_store.lock_of_work_order(tx.connection, order.id)
    return await tx.start_saga(
        INVOICE_WORK, order.name, facts=exchange_handlers.bill_of(order, exchanges)
    )


async def mark_invoiced(tx: Transaction, order_id: UUID, *, txn: UUID | None) -> None:
    """Write that an order is paid."""
    _, order = await lock(tx, order_id)
    step = WORK_ORDER.next(order.state, "invoice", subject=order.name)
    await save(tx, order, order.moved(step, at=tx.now, txn=txn, invoice_time=tx.now))


async def close(tx: Transaction, order_id: UUID, *, etag: str) -> WorkOrder:
    """Put an invoiced order away.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        ExchangeNotInstalled: A unit of it is not yet on the machine's record.
    """
    _, order = await lock_idle(tx, order_id, etag=etag)
    step = WORK_ORDER.next(order.state, "close", subject=order.name)
    require_side(order, "close")
    for exchange in await exchange_store.lock_of_work_order(tx.connection, order.id):
        if exchange.state is ExchangeState.FITTED:
            raise ExchangeNotInstalled(exchange.name)
    return await save(tx, order, order.moved(step, at=tx.now))


async def begin_cancel(tx: Transaction, order_id: UUID, *, etag: str, reason: str) -> Saga:
    """Begin to give up an order that is not completed.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        ExchangeUnderWay: An exchange of it is to be cancelled first.
    """
    _, order = await lock_idle(tx, order_id, etag=etag)
    WORK_ORDER.next(order.state, "cancel", subject=order.name)
    require_side(order, "cancel")
    await _check_exchanges_over(tx, order)
    return await tx.start_saga(CANCEL_WORK, order.name, facts={"reason": reason})


async def mark_cancelled(tx: Transaction, order_id: UUID, *, reason: str) -> None:
    """Write that an order is given up; its faults are open again.

    Raises:
        ExchangeUnderWay: One was asked for meanwhile; the order stays as it was.
    """
    _, order = await lock(tx, order_id)
    step = WORK_ORDER.next(order.state, "cancel", subject=order.name)
    await _check_exchanges_over(tx, order)
    await work_fault_handlers.release(tx, order.fault_ids, work_order=order.name)
    cancelled = order.moved(step, at=tx.now, cancel_reason=reason, hold_reason=None, hold_note="")
    await save(tx, order, cancelled)


async def mark_out_of_shop(tx: Transaction, order_id: UUID) -> None:
    """Write that the machine has left the shop."""
    _, order = await lock(tx, order_id)
    if order.in_shop:
        gone = replace(order, in_shop=False, version=order.version + 1, update_time=tx.now)
        await work_order_store.update_work_order(tx.connection, gone)


async def _fitted(
    tx: Transaction, order: WorkOrder, removals: Mapping[UUID, str]
) -> list[Exchange]:
    """Return the exchanges whose units went in, each ready for it."""
    fitted = []
    for exchange in await exchange_store.lock_of_work_order(tx.connection, order.id):
        await sagas.require_idle(tx.connection, exchange.name)
        if exchange.state is ExchangeState.CANCELLED:
            continue
        if exchange.state is not ExchangeState.SHIPPED:
            raise ExchangeNotShipped(exchange.name, exchange.state.value)
        if exchange.id not in removals:
            raise RemovedSerialMissing(exchange.name)
        fitted.append(exchange)
    if unknown := set(removals) - {exchange.id for exchange in fitted}:
        raise InvalidArgument("removals", f"exchanges/{min(unknown)} is not shipped for this order")
    return fitted


async def _report_hours(tx: Transaction, order_id: UUID, stated: Decimal) -> None:
    """Take the stated hours as a reading; meters are locked before their machine.

    Raises:
        HoursImplausible: They do not follow the last accepted reading.
    """
    caller = principal()
    order = await work_order_store.find_work_order(tx.connection, order_id, viewer=caller)
    if order is None:
        raise NotFound(name("workOrders", order_id))
    meter = await meter_store.lock_meter(tx.connection, order.machine_id, MeterKind.HOURS)
    figure = stated - meter.run_before if meter else stated
    # The workshop need not have the machine; whether it has the order is checked next.
    reporter = replace(service_principal(tx.service), on_behalf_of=caller.actor)
    reading = await meter_handlers.report(
        tx,
        order.machine_id,
        MeterKind.HOURS,
        figure=figure,
        read_at=tx.now,
        reference=order.name,
        viewer=reporter,
    )
    if meter is not None and reading.state is not ReadingState.ACCEPTED:
        most = meter.life + rise_max(MeterKind.HOURS, meter.read_at, max(meter.read_at, tx.now))
        raise HoursImplausible(
            order.machine, stated=stated, least=meter.life, most=most.quantize(HOURS_PLACES)
        )


def _completion(
    tx: Transaction,
    order: WorkOrder,
    report: Report,
    *,
    hours: Decimal | None,
    fitted: Sequence[Exchange],
) -> Completion:
    parts = (*(order.planned_parts if report.with_planned_parts else ()), *report.parts)
    end = warranty_end(tx.today, report.warranty_months)
    has_hours_end = end is not None and hours is not None and report.warranty_hours
    return Completion(
        hours=hours,
        downtime_hours=_downtime(tx, order, report.downtime_hours),
        findings=report.findings,
        parts=parts,
        labour=report.labour,
        cost=_checked_cost(
            cost_of(
                parts,
                report.labour,
                units_fen=sum(exchange.unit_price_fen for exchange in fitted),
                all_under_warranty=order.warranty_of is not None,
            )
        ),
        completer=principal().actor,
        complete_time=tx.now,
        warranty_end=end,
        warranty_hours_end=(
            hours + report.warranty_hours if hours is not None and has_hours_end else None
        ),
    )


def _downtime(tx: Transaction, order: WorkOrder, stated: Decimal | None) -> Decimal:
    limit = min(down_for(order.down_since, tx.now), DOWNTIME_HOURS_MAX)
    if stated is None:
        return limit
    if order.down_since is not None and stated > limit:
        raise DowntimeTooLong(order.name, stated=stated, limit=limit)
    return stated


def _checked_cost(cost: WorkCost) -> WorkCost:
    if (all_fen := cost.total_fen + cost.warranty_fen) > COST_FEN_MAX:
        raise TotalTooLarge(all_fen, COST_FEN_MAX)
    return cost


async def _check_exchanges_over(tx: Transaction, order: WorkOrder) -> None:
    for exchange in await exchange_store.lock_of_work_order(tx.connection, order.id):
        if exchange.state in UNDER_WAY:
            raise ExchangeUnderWay(exchange.name, exchange.state.value)


async def _tell_completed(
    tx: Transaction,
    machine: MonitoredMachine,
    order: WorkOrder,
    done: Completion,
    fitted: Sequence[Exchange],
    removals: Mapping[UUID, str],
) -> None:
    await tx.emit(
        events.WorkOrderCompleted(
            machine=machine.name,
            sequence=await plan_handlers.next_sequence(tx, machine.id),
            work_order=order.name,
            work_class=class_number(order.work_class),
            downtime_hours=shown_hours(done.downtime_hours),
            hours=shown_hours(done.hours),
            labour_hours=wire.decimal(done.labour_hours),
            parts=[part_to_wire(part) for part in done.parts],
            cost=cost_to_wire(done.cost),
            components=[
                events.FittedUnit(
                    exchange=exchange.name,
                    unit=exchange.unit,
                    part_family=exchange.part_family,
                    removed_serial=removals[exchange.id],
                )
                for exchange in fitted
            ],
            faults=fault_names(order.fault_ids),
            plan_items=order.plan_items,
            title_holder=machine.title_holder,
            complete_time=wire.instant(done.complete_time),
        )
    )
