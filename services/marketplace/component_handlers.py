"""What marketplace does with the components of machines."""

from uuid import UUID

from services.kit.transaction import Transaction
from services.marketplace import component_store, machine_events, machine_handlers, machine_store
from services.marketplace.component_model import COMPONENTS_MAX, Component
from services.marketplace.errors import ComponentsFull, InstalledAhead
from services.marketplace.machine_model import Machine


async def record_component(
    tx: Transaction, machine_id: UUID, component: Component, *, reference: str
) -> Machine:
    """Put a component in its place in a machine; the one that is there already changes nothing.

    Raises:
        NotFound, MachineScrapped: As they say.
        InstalledAhead: Its day of installation is ahead.
        ComponentsFull: The machine has as many places as one may have.
    """
    if component.installed_on > tx.today:
        raise InstalledAhead(component.installed_on, today=tx.today)
    machine = await machine_handlers.lock_machine(tx, machine_id)
    machine_handlers.check_in_trade(machine)
    present = (await component_store.components_of(tx.connection, [machine_id]))[machine_id]
    replaced = next((one for one in present if one.place == component.place), None)
    if replaced == component:
        return machine
    if replaced is None and len(present) >= COMPONENTS_MAX:
        raise ComponentsFull(machine.name, COMPONENTS_MAX)
    await component_store.put_in_place(
        tx.connection, machine_id, component, reference=reference, at=tx.now
    )
    saved = await machine_store.update_machine(tx.connection, machine, at=tx.now)
    await tx.emit(
        machine_events.component_recorded(saved, component, reference=reference, replaced=replaced)
    )
    return saved
