"""Instalments in the course of time and in the hands of owners, one transaction a command."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from ironloop.leasing.v1 import leasing_events_pb2 as events

from services.kit.clock import start_of
from services.kit.errors import InvalidArgument, NotFound
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.leasing import instalment_store, lease_store
from services.leasing.announcements import announce, announce_due, announce_overdue
from services.leasing.errors import AlreadyAssigned
from services.leasing.instalment_model import (
    PAYABLE,
    Instalment,
    InstalmentState,
    next_agenda_day,
)
from services.leasing.instalment_store import Assignment
from services.leasing.lifecycle import INSTALMENT, LEASE
from services.leasing.locks import lock_by_name
from services.leasing.model import Lease

AGENDA = "lease_agenda"


async def assign_instalments(
    tx: Transaction, lease_name: str, assignment: Assignment
) -> list[Instalment]:
    """Make an assignee the owner of a run of instalments; the same assignment changes nothing.

    Raises:
        NotFound: There is no such lease, or an instalment of the run is missing.
        LeaseBusy: A payment or another saga is under way.
        TransitionRefused: The lease is not active, or an instalment not SCHEDULED.
        AlreadyAssigned: An instalment is assigned, or the reference assigned another run.
        InvalidArgument: The run ends before it begins, or the owner is lessor or lessee.
    """
    if assignment.to_number < assignment.from_number:
        raise InvalidArgument("to_number", "must not lie below from_number")
    lease = await lock_by_name(tx, lease_name)
    lease.require_free()
    if assignment.owner in (lease.terms.lessor, lease.terms.lessee):
        raise InvalidArgument("owner", "must be neither the lease's lessor nor its lessee")
    numbers = range(assignment.from_number, assignment.to_number + 1)
    run = await instalment_store.list_numbers(tx.connection, lease.id, numbers)
    known = await instalment_store.find_assignment(tx.connection, lease.id, assignment.reference)
    if known is not None:
        if known != assignment:
            raise AlreadyAssigned(lease.name, assignment.reference)
        return [item for item in run if item.assignment == assignment.reference]
    LEASE.next(lease.state, "assign", subject=lease.name)
    if len(run) != len(numbers):
        raise NotFound(f"{lease.name}/instalments/{assignment.to_number}")
    assigned = [_assigned(item, assignment) for item in run]
    await instalment_store.update_instalments(tx.connection, assigned)
    await instalment_store.insert_assignment(tx.connection, lease.id, assignment, at=tx.now)
    lease = await announce(
        tx,
        lease,
        events.InstalmentsAssigned,
        lessee=lease.terms.lessee,
        owner=assignment.owner,
        from_number=assignment.from_number,
        to_number=assignment.to_number,
        reference=assignment.reference,
    )
    await lease_store.update_lease(tx.connection, lease, at=tx.now)
    return assigned


async def return_instalments(
    tx: Transaction, lease_name: str, *, reference: str
) -> list[Instalment]:
    """Give the lessor back what an assignment holds and is still SCHEDULED.

    Raises:
        NotFound: There is no such lease.
        LeaseBusy: A payment or another saga is under way.
    """
    lease = await lock_by_name(tx, lease_name)
    lease.require_free()
    held = [
        item
        for item in await instalment_store.list_of_lease(tx.connection, lease.id)
        if item.assignment == reference and item.state is InstalmentState.SCHEDULED
    ]
    returned = [replace(item, owner=item.lessor, assignment="") for item in held]
    if not returned:
        return []
    for item in held:
        INSTALMENT.next(item.state, "give_back", subject=item.name)
    await instalment_store.update_instalments(tx.connection, returned)
    await instalment_store.remove_assignment(tx.connection, lease.id, reference)
    lease = await announce(
        tx,
        lease,
        events.InstalmentsReturned,
        owner=lease.terms.lessor,
        numbers=[item.number for item in returned],
        reference=reference,
    )
    await lease_store.update_lease(tx.connection, lease, at=tx.now)
    return returned


async def keep_agenda(tx: Transaction, timer: Timer) -> None:
    """Let instalments fall due, turn overdue and age, each on its day; set the next day.

    Raises:
        LeaseBusy: A saga is under way, whose plan must find the instalments as it left them.
    """
    lease = await lock_by_name(tx, timer.subject)
    lease.require_free()
    instalments = await instalment_store.list_of_lease(tx.connection, lease.id)
    changed: list[Instalment] = []
    for instalment in instalments:
        lease, moved = await _advance(tx, lease, instalment)
        if moved is not instalment:
            changed.append(moved)
    if changed:
        await instalment_store.update_instalments(tx.connection, changed)
        await lease_store.update_lease(tx.connection, lease, at=tx.now)
    moved_by_number = {item.number: item for item in changed}
    await set_agenda(tx, lease, [moved_by_number.get(item.number, item) for item in instalments])


async def set_agenda(tx: Transaction, lease: Lease, instalments: Sequence[Instalment]) -> None:
    """Set the timer of the next day on which something happens to instalments."""
    day = next_agenda_day(instalments)
    if day is None or lease.is_stopped:
        await tx.cancel_timers(lease.name, kind=AGENDA)
    else:
        await tx.set_timer(AGENDA, lease.name, due_at=start_of(day))


async def get_instalment(tx: Transaction, lease_id: UUID, number: int) -> Instalment:
    """Return an instalment of a lease that is locked.

    Raises:
        NotFound: There is none of this number.
    """
    found = await instalment_store.list_numbers(tx.connection, lease_id, [number])
    if not found:
        raise NotFound(f"leases/{lease_id}/instalments/{number}")
    return found[0]


async def _advance(
    tx: Transaction, lease: Lease, instalment: Instalment
) -> tuple[Lease, Instalment]:
    """Return an instalment as it stands today, its changes announced."""
    if instalment.state is InstalmentState.SCHEDULED and instalment.payable_on <= tx.today:
        step = INSTALMENT.next(instalment.state, "fall_due", subject=instalment.name)
        instalment = replace(instalment, state=step.target)
        lease = await announce_due(tx, lease, instalment)
    bucket = instalment.bucket_on(tx.today)
    if instalment.state in PAYABLE and bucket > instalment.bucket:
        is_overdue = instalment.state is InstalmentState.OVERDUE
        command = "age" if is_overdue else "fall_overdue"
        step = INSTALMENT.next(instalment.state, command, subject=instalment.name)
        instalment = replace(instalment, state=step.target, bucket=bucket)
        lease = await announce_overdue(tx, lease, instalment, on=tx.today)
    return lease, instalment


def _assigned(instalment: Instalment, assignment: Assignment) -> Instalment:
    """Return an instalment in the assignee's hand.

    Raises:
        AlreadyAssigned: It is assigned.
        TransitionRefused: It is not SCHEDULED.
    """
    if instalment.assignment:
        raise AlreadyAssigned(instalment.name, instalment.assignment)
    INSTALMENT.next(instalment.state, "assign", subject=instalment.name)
    return replace(instalment, owner=assignment.owner, assignment=assignment.reference)
