"""What insights learns from every room; each event moves the copies only."""

from collections.abc import Mapping
from datetime import date, datetime
from uuid import UUID

from google.protobuf.message import Message
from ironloop.leasing.v1 import leasing_events_pb2 as leasing
from ironloop.maintenance.v1 import maintenance_events_pb2 as maintenance
from ironloop.maintenance.v1 import work_orders_pb2
from ironloop.marketplace.v1 import machines_pb2
from ironloop.marketplace.v1 import marketplace_events_pb2 as marketplace
from ironloop.procurement.v1 import procurement_events_pb2 as procurement
from ironloop.remanufacturing.v1 import remanufacturing_events_pb2 as remanufacturing

from services.insights import store
from services.insights.timeline_model import LINES, entry_of
from services.kit import wire
from services.kit.clock import business_date
from services.kit.consumer import EventHandler
from services.kit.ids import parse_name
from services.kit.transaction import Transaction


def _time(tx: Transaction) -> datetime:
    assert tx.event_time is not None, "events are applied by the kit's consumer"
    return tx.event_time


def _day(tx: Transaction) -> date:
    return business_date(_time(tx))


def _machine(name: str) -> UUID:
    return parse_name(name, "machines", field="machine")


async def register(tx: Transaction, event: marketplace.MachineRegistered) -> None:
    """Begin to know a machine."""
    await store.save_machine(
        tx.connection,
        _machine(event.machine),
        holder=event.title_holder,
        replacement_cost_fen=wire.fen(event.replacement_cost, field="replacement_cost"),
        day=_day(tx),
    )


async def update(tx: Transaction, event: marketplace.MachineUpdated) -> None:
    """Follow what a new machine of the kind costs."""
    await store.update_cost(
        tx.connection,
        _machine(event.machine),
        replacement_cost_fen=wire.fen(event.replacement_cost, field="replacement_cost"),
    )


async def move_title(tx: Transaction, event: marketplace.TitleTransferred) -> None:
    """Follow the title."""
    await store.move_title(
        tx.connection,
        _machine(event.machine),
        holder=event.to_party,
        replacement_cost_fen=wire.fen(event.replacement_cost, field="replacement_cost"),
        day=_day(tx),
    )


async def move_custody(tx: Transaction, event: marketplace.CustodyChanged) -> None:
    """Follow the custody."""
    await store.move_custody(
        tx.connection,
        _machine(event.machine),
        custody=wire.enum_name(machines_pb2.Custody, event.custody, prefix="CUSTODY_"),
        custodian=event.custodian,
        day=_day(tx),
    )


async def publish(tx: Transaction, event: marketplace.ListingPublished) -> None:
    """Note a listing."""
    await store.save_listing(
        tx.connection, event.listing, machine=_machine(event.machine), day=_day(tx)
    )


async def sell(tx: Transaction, event: marketplace.ListingSold) -> None:
    """Note a listing's sale."""
    await store.sell_listing(tx.connection, event.listing, day=_day(tx))


async def settle_order(tx: Transaction, event: procurement.OrderSettled) -> None:
    """Note what machines cost their buyer."""
    for sold in event.machines:
        await store.insert_purchase(
            tx.connection,
            _machine(sold.machine),
            buyer=event.buyer,
            price_fen=wire.fen(sold.price, field="price"),
            day=_day(tx),
        )


async def activate(tx: Transaction, event: leasing.LeaseActivated) -> None:
    """Note that a machine went out on a lease."""
    await store.begin_lease(
        tx.connection,
        event.lease,
        machine=_machine(event.machine),
        lessor=event.lessor,
        day=wire.to_date(event.start_date, field="start_date"),
    )


async def take_back(
    tx: Transaction, event: leasing.LeaseReturned | leasing.MachineRepossessed
) -> None:
    """Note that a lease's machine came back."""
    await store.end_lease(tx.connection, event.lease, day=_day(tx), is_returned=True)


async def end_for_good(
    tx: Transaction,
    event: leasing.LeaseBoughtOut | leasing.LeasePurchased | leasing.TotalLossReported,
) -> None:
    """Note that a lease ended and its machine will not come back."""
    await store.end_lease(tx.connection, event.lease, day=_day(tx), is_returned=False)


async def fall_due(tx: Transaction, event: leasing.InstalmentDue) -> None:
    """Note an instalment that fell due."""
    rental = _sum(event.due, "interest", "principal")
    await store.insert_instalment(
        tx.connection,
        event.lease,
        event.number,
        owner=event.owner,
        due_day=wire.to_date(event.due_date, field="due_date"),
        rental_fen=rental,
        due_fen=rental + _sum(event.due, "fees"),
    )


async def pay(tx: Transaction, event: leasing.InstalmentPaid) -> None:
    """Note a payment; a penalty was never billed as due, so it is not counted."""
    await store.insert_payment(
        tx.connection,
        event.lease,
        event.sequence,
        number=event.number,
        paid_fen=_sum(event.paid, "fees", "interest", "principal"),
        day=_day(tx),
    )


async def run(tx: Transaction, event: maintenance.MeterReadingAccepted) -> None:
    """Note the hours that a machine ran since the reading before."""
    if not event.previous_hours.value:
        return
    ran = wire.to_decimal(event.hours, field="hours") - wire.to_decimal(
        event.previous_hours, field="previous_hours"
    )
    await store.insert_run(
        tx.connection,
        _machine(event.machine),
        event.sequence,
        day=business_date(wire.to_instant(event.reading_time, field="reading_time")),
        hours=max(ran, ran * 0),
    )


async def complete_work(tx: Transaction, event: maintenance.WorkOrderCompleted) -> None:
    """Note a failure: corrective work that had the machine down."""
    if event.work_class != work_orders_pb2.WORK_CLASS_CORRECTIVE or not event.downtime_hours.value:
        return
    downtime_hours = wire.to_decimal(event.downtime_hours, field="downtime_hours")
    if downtime_hours > 0:
        await store.insert_failure(
            tx.connection,
            event.work_order,
            machine=_machine(event.machine),
            day=business_date(wire.to_instant(event.complete_time, field="complete_time")),
            downtime_hours=downtime_hours,
        )


async def charge_core(tx: Transaction, event: remanufacturing.CoreDepositCharged) -> None:
    """Note a core deposit."""
    await store.insert_core(
        tx.connection,
        event.core_return,
        machine=_machine(event.machine) if event.machine else None,
        party=event.party,
        day=_day(tx),
    )


async def credit_core(tx: Transaction, event: remanufacturing.CoreCredited) -> None:
    """Note that a core came back."""
    await store.end_core(tx.connection, event.core_return, day=_day(tx), is_returned=True)


async def lose_core(
    tx: Transaction, event: remanufacturing.CoreForfeited | remanufacturing.CoreRejected
) -> None:
    """Note that a core did not come back, or not as one."""
    await store.end_core(tx.connection, event.core_return, day=_day(tx), is_returned=False)


def _sum(parts: leasing.InstalmentParts, *names: str) -> int:
    return sum(
        wire.fen(value, field=field.name)
        for field, value in parts.ListFields()
        if field.name in names
    )


FACTS: Mapping[type[Message], EventHandler] = {
    marketplace.MachineRegistered: register,
    marketplace.MachineUpdated: update,
    marketplace.TitleTransferred: move_title,
    marketplace.CustodyChanged: move_custody,
    marketplace.ListingPublished: publish,
    marketplace.ListingSold: sell,
    procurement.OrderSettled: settle_order,
    leasing.LeaseActivated: activate,
    leasing.LeaseReturned: take_back,
    leasing.MachineRepossessed: take_back,
    leasing.LeaseBoughtOut: end_for_good,
    leasing.LeasePurchased: end_for_good,
    leasing.TotalLossReported: end_for_good,
    leasing.InstalmentDue: fall_due,
    leasing.InstalmentPaid: pay,
    maintenance.MeterReadingAccepted: run,
    maintenance.WorkOrderCompleted: complete_work,
    remanufacturing.CoreDepositCharged: charge_core,
    remanufacturing.CoreCredited: credit_core,
    remanufacturing.CoreForfeited: lose_core,
    remanufacturing.CoreRejected: lose_core,
}


def _applying(event_type: type[Message]) -> EventHandler:
    note_fact = FACTS.get(event_type)

    async def apply(tx: Transaction, event: Message) -> None:
        if note_fact is not None:
            await note_fact(tx, event)
        entry = entry_of(event)
        # Valuations of machines that are only described have no life to be noted in.
        if entry is not None and (machine := event.machine):  # type: ignore[attr-defined]
            await store.insert_entry(tx.connection, _machine(machine), entry, at=_time(tx))

    return apply


CONSUMES: Mapping[type[Message], EventHandler] = {
    event_type: _applying(event_type) for event_type in {**FACTS, **LINES}
}
