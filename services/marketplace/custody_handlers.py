"""How machines are held, released and handed over, one transaction a command."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from services.kit.ids import parse_name
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.marketplace import history_store, machine_events, machine_handlers, machine_store
from services.marketplace.errors import HeldByOther, InstantOutOfRange
from services.marketplace.lifecycle import CUSTODY, MACHINE, hand_over_command
from services.marketplace.listing_closing import withdraw_from_trade
from services.marketplace.machine_model import (
    Custody,
    Interval,
    Machine,
    MachineLifecycle,
    Reservation,
)

RESERVATION_TIMER = "machine_reservation"
RESERVED_FOR_MAX = timedelta(days=400)  # longer than any order or lease application stays open


async def reserve_machine(
    tx: Transaction, machine_id: UUID, *, reference: str, party: str, expire_time: datetime
) -> Machine:
    """Hold a machine until an instant; under the same reference the instant moves.

    Raises:
        NotFound, MachineScrapped: As they say.
        TransitionRefused: It is held otherwise.
        InstantOutOfRange: The instant is not ahead, or more than 400 days.
    """
    latest = tx.now + RESERVED_FOR_MAX
    if not tx.now < expire_time <= latest:
        raise InstantOutOfRange("expire_time", after=tx.now, until=latest)
    machine = await machine_handlers.lock_machine(tx, machine_id)
    held = machine.reservation
    if held and (held.reference, held.party) == (reference, party):
        if held.expire_time in {None, expire_time}:
            return machine
        machine = replace(machine, reservation=replace(held, expire_time=expire_time))
        machine = await machine_store.update_machine(tx.connection, machine, at=tx.now)
        await tx.emit(machine_events.custody_changed(machine, before=machine, reference=reference))
    else:
        machine = await reserve(tx, machine, Reservation(reference, party, expire_time))
    await tx.set_timer(
        RESERVATION_TIMER,
        machine.name,
        due_at=expire_time,
        payload={"reference": reference},
    )
    return machine


async def reserve(tx: Transaction, machine: Machine, reservation: Reservation) -> Machine:
    """Hold a locked machine.

    Raises:
        MachineScrapped, TransitionRefused: It is out of trade, or held.
    """
    machine_handlers.check_in_trade(machine)
    step = CUSTODY.next(machine.custody, "reserve", subject=machine.name)
    held = machine.held_as(step.target, reservation=reservation)
    return await _change_custody(tx, machine, held, reference=reservation.reference)


async def release_machine(tx: Transaction, machine_id: UUID, *, reference: str) -> Machine:
    """End the reservation under a reference; without one nothing changes.

    Raises:
        NotFound: There is no such machine.
    """
    return await release(
        tx, await machine_handlers.lock_machine(tx, machine_id), reference=reference
    )


async def release(tx: Transaction, machine: Machine, *, reference: str) -> Machine:
    """End the reservation of a locked machine under a reference; without one nothing changes."""
    if machine.reservation is None or machine.reservation.reference != reference:
        return machine
    step = CUSTODY.next(machine.custody, "release", subject=machine.name)
    await tx.cancel_timers(machine.name, kind=RESERVATION_TIMER)
    free = machine.held_as(step.target)
    return await _change_custody(tx, machine, free, reference=reference)


async def expire_reservation(tx: Transaction, timer: Timer) -> None:
    """Free a machine whose reservation has run out."""
    machine = await machine_store.lock_machine(tx.connection, parse_name(timer.subject, "machines"))
    reference = timer.payload["reference"]
    held = machine.reservation if machine else None
    if machine is None or held is None or held.reference != reference:
        return
    step = CUSTODY.next(machine.custody, "expire", subject=machine.name)
    await _change_custody(tx, machine, machine.held_as(step.target), reference=reference)


async def hand_over(
    tx: Transaction, machine_id: UUID, *, custody: Custody, custodian: str, reference: str
) -> Machine:
    """Hand a machine over to a custodian, into a custody; done before under it, nothing changes.

    Raises:
        NotFound, MachineScrapped, TransitionRefused: As they say.
        HeldByOther: It is reserved, or out on lease, under another reference.
    """
    machine = await machine_handlers.lock_machine(tx, machine_id)
    machine_handlers.check_in_trade(machine)
    present = await history_store.last_custody(tx.connection, machine_id)
    asked = (custody, custodian, reference)
    if (present.custody, present.holder, present.reference) == asked:
        return machine
    step = CUSTODY.next(machine.custody, hand_over_command(custody), subject=machine.name)
    _check_holds(machine, present, custody, reference)
    handed = machine.held_as(
        step.target,
        custodian=custodian,
        reservation=machine.reservation if custody is Custody.RESERVED else None,
        lease_reference=_lease_after(machine, custody, reference),
    )
    if custodian != machine.custodian and machine.lifecycle is MachineLifecycle.REGISTERED:
        delivery = MACHINE.next(machine.lifecycle, "deliver", subject=machine.name)
        handed = replace(handed, lifecycle=delivery.target)
    if machine.reservation and not handed.reservation:
        await tx.cancel_timers(machine.name, kind=RESERVATION_TIMER)
    if custody is Custody.ON_LEASE:
        await withdraw_from_trade(tx, machine_id)
    return await _change_custody(tx, machine, handed, reference=reference)


def _check_holds(machine: Machine, present: Interval, custody: Custody, reference: str) -> None:
    """Check that whoever hands a held machine over is the one who holds it.

    A workshop gives a leased machine back under the reference under which it took it in.
    """
    if machine.reservation:
        holder = machine.reservation.reference
    elif machine.custody is Custody.IN_SHOP and custody is Custody.ON_LEASE:
        holder = machine.lease_reference or "its workshop"
        if machine.lease_reference and reference == present.reference:
            return
    elif machine.lease_reference and custody is not Custody.IN_SHOP:
        holder = machine.lease_reference
    else:
        return
    if holder != reference:
        raise HeldByOther(machine.name, holder=holder, asked=reference)


def _lease_after(machine: Machine, custody: Custody, reference: str) -> str | None:
    """Return the lease under which a machine is out once it is handed over."""
    if machine.custody is Custody.IN_SHOP and custody is Custody.ON_LEASE:
        return machine.lease_reference
    if custody in {Custody.ON_LEASE, Custody.IN_TRANSIT}:
        return reference
    return machine.lease_reference if custody is Custody.IN_SHOP else None


async def _change_custody(
    tx: Transaction, before: Machine, after: Machine, *, reference: str
) -> Machine:
    saved = await machine_store.update_machine(tx.connection, after, at=tx.now)
    await history_store.append_custody(tx.connection, saved, reference=reference)
    await tx.emit(machine_events.custody_changed(saved, before=before, reference=reference))
    return saved
