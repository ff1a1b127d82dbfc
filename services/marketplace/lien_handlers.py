"""What marketplace does with liens, one transaction a command; the machine is locked first."""

from datetime import datetime
from uuid import UUID

from services.kit.connection import Connection
from services.kit.errors import NotFound
from services.kit.ids import name, new_id
from services.kit.principals import Principal, service_principal
from services.kit.transaction import Transaction
from services.marketplace import lien_store, machine_events, machine_store
from services.marketplace.errors import InstantOutOfRange, LienExists, MachineScrapped
from services.marketplace.lifecycle import LIEN
from services.marketplace.machine_model import (
    Lien,
    LienState,
    Machine,
    MachineLifecycle,
    has_super_priority,
)

_EARLIEST = datetime.fromisoformat("1990-01-01T00:00:00+00:00")  # older than any live lien


async def register_lien(
    tx: Transaction,
    machine_id: UUID,
    *,
    holder: str,
    reference: str,
    registry_no: str,
    secured_amount_fen: int,
    purchase_money: bool,
    register_time: datetime | None,
) -> Lien:
    """Register a lien; a register time of None is now. Registered before, it is returned.

    Raises:
        NotFound, MachineScrapped: As they say.
        LienExists: The reference has another lien, or a released one, on this machine.
        InstantOutOfRange: The register time is ahead, or before 1990.
    """
    if register_time is not None and not _EARLIEST < register_time <= tx.now:
        raise InstantOutOfRange("register_time", after=_EARLIEST, until=tx.now)
    machine = await machine_store.lock_machine(tx.connection, machine_id)
    if machine is None:
        raise NotFound(name("machines", machine_id))
    present = await lien_store.find_by_reference(
        tx.connection, machine_id, holder=holder, reference=reference
    )
    if present is not None:
        return await _same(
            tx, present, (registry_no, secured_amount_fen, purchase_money, register_time)
        )
    if machine.lifecycle is MachineLifecycle.SCRAPPED:
        raise MachineScrapped(machine.name)
    machine = await machine_store.update_machine(tx.connection, machine, at=tx.now)
    lien = _new_lien(
        machine,
        holder=holder,
        reference=reference,
        registry_no=registry_no,
        secured_amount_fen=secured_amount_fen,
        purchase_money=purchase_money,
        register_time=register_time or tx.now,
        at=tx.now,
    )
    await lien_store.insert_lien(tx.connection, lien)
    lien = await _with_rank(tx.connection, lien)
    await tx.emit(machine_events.lien_registered(machine, lien))
    return lien


async def release_lien(tx: Transaction, lien_id: UUID) -> Lien:
    """Release a lien; one that is released stays so.

    Raises:
        NotFound: There is none.
    """
    everything = service_principal(tx.service)
    lien = await lien_store.find_lien(tx.connection, lien_id, viewer=everything)
    if lien is None:
        raise NotFound(name("liens", lien_id))
    machine = await machine_store.lock_machine(tx.connection, lien.machine_id)
    assert machine is not None
    lien = await lien_store.find_lien(tx.connection, lien_id, viewer=everything)
    assert lien is not None
    if lien.state is LienState.RELEASED:
        return lien
    step = LIEN.next(lien.state, "release", subject=lien.name)
    machine = await machine_store.update_machine(tx.connection, machine, at=tx.now)
    lien = await lien_store.release_lien(
        tx.connection,
        lien_id,
        state=step.target,
        machine_sequence=machine.event_sequence,
        at=tx.now,
    )
    await tx.emit(machine_events.lien_released(machine, lien))
    return lien


async def get_lien(connection: Connection, lien_id: UUID, *, viewer: Principal) -> Lien:
    """Return a lien with its rank.

    Raises:
        NotFound: There is none, or it is not theirs to see.
    """
    lien = await lien_store.find_lien(connection, lien_id, viewer=viewer)
    if lien is None:
        raise NotFound(name("liens", lien_id))
    return await _with_rank(connection, lien)


async def _same(
    tx: Transaction, present: Lien, stated: tuple[str, int, bool, datetime | None]
) -> Lien:
    registered = (
        present.registry_no,
        present.secured_amount_fen,
        present.purchase_money,
        present.register_time if stated[-1] is not None else None,
    )
    if present.state is LienState.RELEASED or registered != stated:
        raise LienExists(name("machines", present.machine_id), present.reference, present.name)
    return await _with_rank(tx.connection, present)


async def _with_rank(connection: Connection, lien: Lien) -> Lien:
    active = await lien_store.active_liens(connection, [lien.machine_id])
    ranks = {other.id: other for other in active.get(lien.machine_id, [])}
    return ranks.get(lien.id, lien)


def _new_lien(
    machine: Machine,
    *,
    holder: str,
    reference: str,
    registry_no: str,
    secured_amount_fen: int,
    purchase_money: bool,
    register_time: datetime,
    at: datetime,
) -> Lien:
    return Lien(
        id=new_id(),
        version=1,
        number=0,
        machine_id=machine.id,
        holder=holder,
        reference=reference,
        registry_no=registry_no,
        secured_amount_fen=secured_amount_fen,
        purchase_money=purchase_money,
        super_priority=has_super_priority(
            purchase_money=purchase_money,
            register_time=register_time,
            title_since=machine.title_since,
        ),
        register_time=register_time,
        state=LienState.ACTIVE,
        release_time=None,
        machine_sequence=machine.event_sequence,
        create_time=at,
        update_time=at,
    )
