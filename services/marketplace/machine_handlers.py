"""What marketplace does with machines, one transaction a command.

A machine is locked before any listing of it, so that commands cannot wait for one another.
"""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from ironloop.options.v1 import options_pb2

from services.kit.connection import Connection
from services.kit.errors import NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.marketplace import history_store, lien_store, machine_events, machine_store
from services.marketplace.errors import (
    CustodyHeld,
    HeldByOther,
    LiensActive,
    MachineExists,
    MachineScrapped,
    NotTitleHolder,
    UnknownMaskPath,
)
from services.marketplace.identity import Identity
from services.marketplace.lifecycle import MACHINE
from services.marketplace.listing_closing import withdraw_from_trade
from services.marketplace.machine_model import (
    Custody,
    Facts,
    Lien,
    Machine,
    MachineLifecycle,
    check_build_year,
    new_machine,
    seen_by,
)

MASK_PATHS = ("model", "equipment_class", "build_year", "hours_meter", "replacement_cost")

_SCRAPPABLE = frozenset({Custody.AVAILABLE, Custody.IN_SHOP})


async def create_machine(
    tx: Transaction, identity: Identity, facts: Facts, *, owner: str
) -> Machine:
    """Register a machine of `owner`.

    Raises:
        BuildYearAhead: Its build year is later than next year.
        MachineExists: Its PIN, or its make and serial number, are registered.
    """
    check_build_year(facts.build_year, today=tx.today, field="facts.build_year")
    machine = new_machine(new_id(), identity, facts, owner=owner, at=tx.now)
    if not await machine_store.insert_machines(tx.connection, [machine]):
        raise MachineExists(identity.label)
    await tx.emit(machine_events.registered(machine))
    return machine


async def get_machine(
    connection: Connection, machine_id: UUID, *, viewer: Principal
) -> tuple[Machine, list[Lien]]:
    """Return what a viewer sees of a machine and its liens.

    Raises:
        NotFound: There is none, or nothing of it is theirs to see.
    """
    machine = await machine_store.find_machine_seen(
        connection,
        machine_id,
        viewer=viewer,
        inspects=viewer.holds(options_pb2.ROLE_TECHNICIAN),
    )
    if machine is None:
        raise NotFound(name("machines", machine_id))
    liens = await lien_store.active_liens(connection, [machine_id])
    return seen_by(machine, liens.get(machine_id, []), viewer)


async def get_owned_machine(
    connection: Connection, machine_id: UUID, *, viewer: Principal
) -> Machine:
    """Return a machine to its title holder.

    Raises:
        NotFound: There is none, or the viewer does not own it.
    """
    machine = await machine_store.find_machine(connection, machine_id)
    if machine is None or not (viewer.sees_all or viewer.party == machine.title_holder):
        raise NotFound(name("machines", machine_id))
    return machine


async def update_machine(
    tx: Transaction,
    machine_id: UUID,
    facts: Facts,
    *,
    paths: Sequence[str],
    etag: str,
    viewer: Principal,
) -> Machine:
    """Take the named facts over from `facts`.

    Raises:
        UnknownMaskPath: A path is none of `MASK_PATHS`.
        NotFound: The viewer neither owns nor has the machine.
        NotTitleHolder: Who only has it changes more than its hours.
        EtagMismatch, MachineScrapped, HoursBelowLast, BuildYearAhead: As they say.
    """
    for path in paths:
        if path not in MASK_PATHS:
            raise UnknownMaskPath(path, MASK_PATHS)
    machine = await machine_store.lock_machine_of(
        tx.connection, machine_id, viewer=viewer, custodian=True
    )
    if machine is None:
        raise NotFound(name("machines", machine_id))
    only_has = viewer.party == machine.custodian != machine.title_holder
    if only_has and set(paths) != {"hours_meter"}:
        raise NotTitleHolder(machine.name, viewer.party)
    check_etag(etag, machine.version)
    check_in_trade(machine)
    fields = {"replacement_cost_fen" if p == "replacement_cost" else p for p in paths}
    changed = replace(machine.facts, **{field: getattr(facts, field) for field in fields})
    check_build_year(changed.build_year, today=tx.today, field="build_year")
    if changed == machine.facts:
        return machine
    return await correct(tx, machine, changed)


async def correct(tx: Transaction, machine: Machine, facts: Facts) -> Machine:
    """Write other facts of a locked machine.

    Raises:
        HoursBelowLast: Its hours would fall.
    """
    saved = await machine_store.update_machine(
        tx.connection, machine.with_facts(facts, at=tx.now), at=tx.now
    )
    await tx.emit(machine_events.updated(saved))
    return saved


async def scrap_machine(
    tx: Transaction, machine_id: UUID, *, etag: str, viewer: Principal
) -> Machine:
    """Take a machine out of use for good; a listing of it on offer is withdrawn.

    Raises:
        NotFound, EtagMismatch, TransitionRefused, LiensActive: As they say.
        CustodyHeld: It is reserved, leased or on its way.
    """
    machine = await machine_store.lock_machine_of(
        tx.connection, machine_id, viewer=viewer, custodian=False
    )
    if machine is None:
        raise NotFound(name("machines", machine_id))
    check_etag(etag, machine.version)
    step = MACHINE.next(machine.lifecycle, "scrap", subject=machine.name)
    if machine.custody not in _SCRAPPABLE or machine.lease_reference:
        raise CustodyHeld(machine.name, machine.custody.value)
    await check_free_of_liens(tx, machine)
    await withdraw_from_trade(tx, machine.id)
    return await _change_lifecycle(tx, machine, step.target)


async def remanufacture(tx: Transaction, machine_id: UUID, *, command: str) -> Machine:
    """Begin or end a remanufacture: `start_remanufacture` or `finish_remanufacture`.

    Raises:
        NotFound, TransitionRefused: As they say.
    """
    machine = await lock_machine(tx, machine_id)
    step = MACHINE.next(machine.lifecycle, command, subject=machine.name)
    return await _change_lifecycle(tx, machine, step.target)


async def transfer_title(
    tx: Transaction, machine_id: UUID, *, from_party: str, to_party: str, reference: str
) -> Machine:
    """Move a title; moved before under this reference, nothing changes.

    Raises:
        NotFound, MachineScrapped, NotTitleHolder, LiensActive: As they say.
        HeldByOther: The machine is reserved under another reference.
    """
    machine = await lock_machine(tx, machine_id)
    if await history_store.has_moved_title(
        tx.connection, machine_id, holder=to_party, reference=reference
    ):
        return machine
    check_in_trade(machine)
    if machine.title_holder != from_party:
        raise NotTitleHolder(machine.name, from_party)
    if machine.reservation and machine.reservation.reference != reference:
        raise HeldByOther(machine.name, holder=machine.reservation.reference, asked=reference)
    await check_free_of_liens(tx, machine)
    since = await history_store.append_title(
        tx.connection, machine_id, holder=to_party, reference=reference, at=tx.now
    )
    moved = await machine_store.update_machine(
        tx.connection, replace(machine, title_holder=to_party, title_since=since), at=tx.now
    )
    await tx.emit(
        machine_events.title_transferred(moved, from_party=from_party, reference=reference)
    )
    await withdraw_from_trade(tx, machine_id)
    return moved


async def check_free_of_liens(tx: Transaction, machine: Machine) -> None:
    """Check that no lien binds a machine.

    Raises:
        LiensActive: Names those that do.
    """
    liens = (await lien_store.active_liens(tx.connection, [machine.id])).get(machine.id, [])
    if liens:
        raise LiensActive(machine.name, [lien.name for lien in liens])


async def lock_machine(tx: Transaction, machine_id: UUID) -> Machine:
    """Return a machine, locked.

    Raises:
        NotFound: There is none.
    """
    machine = await machine_store.lock_machine(tx.connection, machine_id)
    if machine is None:
        raise NotFound(name("machines", machine_id))
    return machine


def check_in_trade(machine: Machine) -> None:
    """Check that a machine is not scrapped.

    Raises:
        MachineScrapped: It is.
    """
    if machine.lifecycle is MachineLifecycle.SCRAPPED:
        raise MachineScrapped(machine.name)


async def _change_lifecycle(
    tx: Transaction, machine: Machine, lifecycle: MachineLifecycle
) -> Machine:
    saved = await machine_store.update_machine(
        tx.connection, replace(machine, lifecycle=lifecycle), at=tx.now
    )
    await tx.emit(machine_events.lifecycle_changed(saved))
    return saved
