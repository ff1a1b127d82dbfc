"""What is done with units in stock, one transaction a command.

A unit's events are its order's: where a unit moves its order moves with it, the unit locked first.
"""

from dataclasses import asdict
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.kit import sagas
from services.kit.database import Database
from services.kit.errors import NotFound
from services.kit.ids import name
from services.kit.principals import Principal, principal
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.remanufacturing import (
    family_handlers,
    order_handlers,
    order_store,
    passport_handlers,
    passport_store,
    unit_store,
)
from services.remanufacturing.errors import HeldByOther, NoUnitInStock, OwnUnit, PriceChanged
from services.remanufacturing.lifecycle import REMAN_ORDER, UNIT
from services.remanufacturing.stored import plain
from services.remanufacturing.unit_model import Installation, Unit, UnitState, warranty_end
from services.remanufacturing.unit_wire import (
    component_event,
    installed_event,
    reserved_event,
    sold_event,
    stocked_event,
)

INSTALL_UNIT = "install_unit"
BUY_UNIT = "buy_unit"


async def get_unit(database: Database, unit_id: UUID, *, viewer: Principal) -> Unit:
    """Return a unit.

    Raises:
        NotFound: There is none that the viewer may see.
    """
    async with database.read() as connection:
        unit = await unit_store.find_unit(connection, unit_id, viewer=viewer)
    if unit is None:
        raise NotFound(name("units", unit_id))
    return unit


async def stock(
    tx: Transaction, order_id: UUID, *, etag: str, price_fen: int, location: str
) -> Unit:
    """Put a certified component in stock.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
    """
    order = await order_handlers.lock(tx, order_id, etag=etag)
    stocked = await order_handlers.stock(tx, order, price_fen=price_fen, location=location)
    certificate = stocked.certificate
    assert certificate is not None, "what is stocked was certified"
    unit = Unit(
        id=stocked.id,
        version=1,
        event_sequence=stocked.event_sequence,
        state=UnitState.STOCKED,
        remanufacturer=stocked.remanufacturer,
        family_id=stocked.family_id,
        component=stocked.component,
        reman_class=certificate.reman_class,
        label_no=certificate.label_no,
        serial_number=certificate.serial_number,
        prior_serial_number=stocked.prior_serial_number,
        warranty_months=certificate.warranty_months,
        warranty_hours=certificate.warranty_hours,
        price_fen=price_fen,
        location=location,
        create_time=tx.now,
        update_time=tx.now,
    )
    await unit_store.insert_unit(tx.connection, unit)
    await tx.emit(stocked_event(unit))
    return unit


async def reserve(tx: Transaction, family_id: UUID, *, reference: str) -> Unit:
    """Hold the unit of a family that is longest in stock; a reference holds one of a family.

    Raises:
        NotFound: There is no such family.
        NoUnitInStock: None of its units is free.
    """
    family = await family_handlers.get_family(tx.connection, family_id)
    held = await unit_store.lock_reserved(tx.connection, family_id, reference=reference)
    if held is not None:
        return held
    # The last unit may be held by a transaction that does not take it after all: wait for it.
    for wait in (False, True):
        unit = await unit_store.lock_longest_in_stock(tx.connection, family_id, wait=wait)
        if unit is not None:
            reserved = await _move(tx, unit, "reserve", reference=reference)
            await tx.emit(reserved_event(reserved))
            return reserved
    raise NoUnitInStock(family.name)


async def release(tx: Transaction, unit_id: UUID, *, reference: str) -> Unit:
    """Put a unit back in stock that a reference holds; one that it does not hold stays.

    Raises:
        NotFound: There is no such unit.
        SagaRunning: It is being installed.
    """
    unit = await lock(tx, unit_id)
    if unit.state is not UnitState.RESERVED or unit.reference != reference:
        return unit
    await sagas.require_idle(tx.connection, unit.name)
    return await _put_back(tx, unit)


async def begin_installation(
    tx: Transaction,
    unit_id: UUID,
    *,
    machine: str,
    work_order: str,
    reference: str,
    hours: Decimal,
    position: str,
    removed_serial_number: str,
) -> Saga:
    """Begin to install a reserved unit; one that is in this machine already stays as it is.

    Raises:
        NotFound, SagaRunning, TransitionRefused: As they say.
        HeldByOther: Another reference holds it.
    """
    unit = await lock(tx, unit_id)
    await sagas.require_idle(tx.connection, unit.name)
    installed = unit.installation
    is_done = installed is not None and (installed.machine, unit.reference) == (machine, reference)
    if not is_done:
        UNIT.next(unit.state, "install", subject=unit.name)
        if unit.reference != reference:
            raise HeldByOther(unit.name, reference)
        installed = Installation(
            machine=machine,
            work_order=work_order,
            installed_on=tx.today,
            hours=hours,
            position=position,
            removed_serial_number=removed_serial_number,
        )
    assert installed is not None
    return await tx.start_saga(
        INSTALL_UNIT,
        unit.name,
        facts={
            "is_done": is_done,
            "installation": plain(asdict(installed)),
            "component": unit.component,
            "reman_class": unit.reman_class.value,
            "label_no": unit.label_no,
            "serial_number": unit.serial_number,
        },
    )


async def mark_installed(
    tx: Transaction,
    unit_id: UUID,
    installation: Installation,
    *,
    identity: dict[str, Any],
    title_holder: str,
) -> None:
    """Write that a unit is in a machine, in both passports too, and tell it.

    Args:
        identity: What marketplace's record says of the machine.
    """
    unit = await lock(tx, unit_id)
    installed = await _move(
        tx,
        unit,
        "install",
        installation=installation,
        warranty_end=warranty_end(installation.installed_on, unit.warranty_months),
    )
    machine = installation.machine
    await passport_handlers.identify(
        tx, machine, "IDENTIFIED", identity=identity, holder=title_holder
    )
    await passport_handlers.append(
        tx,
        machine,
        "COMPONENT_INSTALLED",
        public={"component": component_facts(installed, installation)},
        private={
            "workOrder": installation.work_order,
            "remanufacturer": unit.remanufacturer,
            "removedSerialNumber": installation.removed_serial_number,
        },
    )
    await passport_handlers.append(
        tx,
        unit.name,
        "INSTALLED",
        public={"machine": machine, "hours": f"{installation.hours:f}"},
        private={"workOrder": installation.work_order},
    )
    await passport_store.set_machine(tx.connection, unit.name, machine)
    sequence = await passport_store.next_event_sequence(tx.connection, machine)
    await tx.emit(installed_event(installed, installation))
    await tx.emit(component_event(installed, installation, sequence=sequence))


async def begin_purchase(tx: Transaction, unit_id: UUID, *, expected_fen: int) -> Saga:
    """Begin to buy a unit: it is held for the saga, which pays its price.

    Raises:
        NotFound: It is not in stock.
        OwnUnit: The caller has made it.
        PriceChanged: Its price is not the one that the caller saw.
    """
    buyer = principal().require_party()
    unit = await unit_store.lock_unit(tx.connection, unit_id)
    if unit is None or unit.state is not UnitState.STOCKED:
        raise NotFound(name("units", unit_id))
    if unit.remanufacturer == buyer:
        raise OwnUnit(unit.name)
    if unit.price_fen != expected_fen:
        raise PriceChanged(expected_fen, unit.price_fen, unit=unit.name)
    saga = await tx.start_saga(
        BUY_UNIT,
        unit.name,
        facts={
            "buyer": buyer,
            "remanufacturer": unit.remanufacturer,
            "price_fen": unit.price_fen,
        },
    )
    reserved = await _move(tx, unit, "reserve", reference=saga.name)
    await tx.emit(reserved_event(reserved))
    return saga


async def mark_sold(tx: Transaction, unit_id: UUID, *, buyer: str) -> None:
    """Write that a unit is its buyer's."""
    unit = await lock(tx, unit_id)
    sold = await _move(
        tx,
        unit,
        "sell",
        buyer=buyer,
        warranty_end=warranty_end(tx.today, unit.warranty_months),
    )
    await passport_handlers.append(
        tx,
        unit.name,
        "SOLD",
        public={},
        private={"buyer": buyer, "priceFen": unit.price_fen},
    )
    await passport_store.set_holder(tx.connection, unit.name, buyer)
    await tx.emit(sold_event(sold))


async def give_up_purchase(tx: Transaction, unit_id: UUID) -> None:
    """Put a unit back in stock whose price was not paid."""
    await _put_back(tx, await lock(tx, unit_id))


async def lock(tx: Transaction, unit_id: UUID) -> Unit:
    """Return a unit, locked for change.

    Raises:
        NotFound: There is none.
    """
    unit = await unit_store.lock_unit(tx.connection, unit_id)
    if unit is None:
        raise NotFound(name("units", unit_id))
    return unit


def component_facts(unit: Unit, installation: Installation) -> dict[str, Any]:
    """Return what everybody may know of a component in its place."""
    assert unit.warranty_end is not None, "an installed unit's warranty runs"
    return {
        "kind": unit.component,
        "position": installation.position,
        "remanClass": unit.reman_class.value,
        "labelNo": unit.label_no,
        "serialNumber": unit.serial_number,
        "hours": f"{installation.hours:f}",
        "installDate": installation.installed_on.isoformat(),
        "warrantyEnd": unit.warranty_end.isoformat(),
        "unit": unit.name,
    }


async def _put_back(tx: Transaction, unit: Unit) -> Unit:
    released = await _move(tx, unit, "release", reference="")
    await tx.emit(stocked_event(released))
    return released


async def _move(tx: Transaction, unit: Unit, command: str, **changes: Any) -> Unit:
    """Move a locked unit and, with the same command, its order, whose events tell of it."""
    step = UNIT.next(unit.state, command, subject=unit.name)
    moved = unit.moved(step, at=tx.now, **changes)
    order = await order_store.get_locked(tx.connection, unit.id)
    order = order.moved(REMAN_ORDER.next(order.state, command, subject=order.name), at=tx.now)
    assert order.event_sequence == moved.event_sequence, "a unit's events are its order's"
    await order_store.update_order(tx.connection, order)
    await unit_store.update_unit(tx.connection, moved)
    return moved
