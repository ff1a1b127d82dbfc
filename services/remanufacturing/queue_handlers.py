"""How a core is queued for remanufacture, which begins its component's passport."""

from decimal import Decimal
from uuid import UUID

from services.kit.errors import InvalidArgument, NotFound
from services.kit.ids import new_id
from services.kit.principals import principal
from services.kit.transaction import Transaction
from services.remanufacturing import (
    core_handlers,
    family_handlers,
    order_facts,
    order_store,
    passport_handlers,
    passport_store,
)
from services.remanufacturing.core_model import CoreReturn, CoreState, Grade
from services.remanufacturing.errors import CoreNotUsable, PartNotAccepted
from services.remanufacturing.family_model import PartFamily
from services.remanufacturing.order_model import OrderState, RemanOrder
from services.remanufacturing.order_wire import moved_event
from services.remanufacturing.part_model import parts_of

_USABLE = frozenset({Grade.FULL, Grade.DAMAGED})


async def create_order(
    tx: Transaction,
    *,
    family_id: UUID,
    core_return_id: UUID | None,
    part_number: str,
    serial_number: str,
    hours: Decimal | None,
) -> RemanOrder:
    """Queue a core: that of a core return, or the shop's own.

    Raises:
        NotFound: The family or core return is not the caller's.
        InvalidArgument: Neither a core return nor a core is named.
        CoreNotUsable: The core return's core cannot be remanufactured, or is already.
        PartNotAccepted: The family is not made of this part number.
    """
    family = await family_handlers.get_family(tx.connection, family_id)
    if family.remanufacturer != principal().require_party():
        raise NotFound(family.name)
    core_return = None
    if core_return_id is not None:
        core_return = await core_handlers.lock(tx, core_return_id)
        part_number, serial_number, hours = _usable_core(core_return, family)
    elif not (part_number and serial_number):
        raise InvalidArgument(
            "serial_number", "a core return, or part and serial number, is needed"
        )
    if part_number not in family.content.part_numbers:
        raise PartNotAccepted(part_number, family=family.name)
    order = RemanOrder(
        id=new_id(),
        version=1,
        event_sequence=1,
        state=OrderState.QUEUED,
        remanufacturer=family.remanufacturer,
        family_id=family.id,
        family_version=family.version,
        component=family.content.component,
        core_return=core_return.name if core_return else "",
        part_number=part_number,
        prior_serial_number=serial_number,
        prior_hours=hours,
        parts=parts_of(family.content),
        create_time=tx.now,
        update_time=tx.now,
    )
    if not await order_store.insert_order(tx.connection, order):
        raise CoreNotUsable(order.core_return, "has its order already")
    await passport_handlers.append(
        tx,
        order.unit,
        "CORE_QUEUED",
        public=order_facts.of_core(order, family),
        private={"coreReturn": order.core_return},
    )
    await passport_store.set_maker(tx.connection, order.unit, order.remanufacturer)
    await tx.emit(moved_event(order))
    return order


def _usable_core(core_return: CoreReturn, family: PartFamily) -> tuple[str, str, Decimal | None]:
    """Return part number, serial number and hours of a graded core.

    Raises:
        NotFound: The caller is its payer and not its remanufacturer.
        CoreNotUsable: It is of another family, or not graded as worth it.
    """
    if core_return.remanufacturer != family.remanufacturer:
        raise NotFound(core_return.name)
    if core_return.family_id != family.id:
        raise CoreNotUsable(core_return.name, f"is not of {family.name}")
    grading, core = core_return.grading, core_return.core
    is_graded = core_return.state in (CoreState.GRADED, CoreState.CREDITED)
    if not is_graded or grading is None or core is None or grading.grade not in _USABLE:
        raise CoreNotUsable(core_return.name, "is not graded FULL or DAMAGED")
    return core.part_number, core.serial_number, core.hours
