"""Faults as work orders see to them; the machine is locked before them."""

from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

from services.kit.errors import NotFound
from services.kit.ids import name
from services.kit.principals import principal
from services.kit.transaction import Transaction
from services.maintenance import fault_handlers, fault_store
from services.maintenance.announcer import Announcer
from services.maintenance.fault_model import Fault, FaultState
from services.maintenance.lifecycle import FAULT
from services.maintenance.machine_model import MonitoredMachine
from services.maintenance.work_errors import FaultNotOpen, FaultOfAnotherMachine

_ORDERABLE = (FaultState.ACTIVE, FaultState.ACKNOWLEDGED)


async def check_open(
    tx: Transaction, machine: MonitoredMachine, fault_ids: Collection[UUID]
) -> list[Fault]:
    """Return faults of a machine that a work order can see to, locked.

    Raises:
        NotFound: There is no such fault.
        FaultOfAnotherMachine, FaultNotOpen: One is not of this machine, or is seen to already.
    """
    if not fault_ids:
        return []
    found = {fault.id: fault for fault in await fault_store.lock_faults(tx.connection, fault_ids)}
    for fault_id in fault_ids:
        fault = found.get(fault_id)
        if fault is None:
            raise NotFound(name("faults", fault_id))
        if fault.machine_id != machine.id:
            raise FaultOfAnotherMachine(fault.name, machine.name)
        if fault.state not in _ORDERABLE:
            raise FaultNotOpen(fault.name, fault.state.value)
    return list(found.values())


async def order_work(
    tx: Transaction, machine: MonitoredMachine, fault_ids: Collection[UUID], *, work_order: str
) -> None:
    """Have a work order see to faults: they become WORK_ORDERED.

    Raises:
        NotFound, FaultOfAnotherMachine, FaultNotOpen: As they say.
    """
    ordered = [
        replace(
            fault,
            version=fault.version + 1,
            state=FAULT.next(fault.state, "order_work", subject=fault.name).target,
            work_order=work_order,
            update_time=tx.now,
        )
        for fault in await check_open(tx, machine, fault_ids)
    ]
    if ordered:
        await fault_store.save_faults(tx.connection, ordered)


async def release(tx: Transaction, fault_ids: Collection[UUID], *, work_order: str) -> None:
    """Have a work order that is given up let go of its faults; they are ACKNOWLEDGED again."""
    released = [
        replace(
            fault,
            version=fault.version + 1,
            state=FAULT.next(fault.state, "cancel_work", subject=fault.name).target,
            work_order="",
            update_time=tx.now,
        )
        for fault in await _ordered_by(tx, fault_ids)
        if fault.work_order == work_order
    ]
    if released:
        await fault_store.save_faults(tx.connection, released)


async def clear(tx: Transaction, machine: MonitoredMachine, fault_ids: Collection[UUID]) -> None:
    """Clear the faults that a completed work order saw to; some the machine cleared itself."""
    ordered = await _ordered_by(tx, fault_ids)
    announcer = Announcer(tx, {machine.id: machine})
    await fault_handlers.clear_faults(tx, announcer, ordered, cleared_by=principal().actor)
    await announcer.close()


async def _ordered_by(tx: Transaction, fault_ids: Collection[UUID]) -> list[Fault]:
    """Return those of some faults that are WORK_ORDERED, locked."""
    if not fault_ids:
        return []
    found = await fault_store.lock_faults(tx.connection, fault_ids)
    return [fault for fault in found if fault.state is FaultState.WORK_ORDERED]
