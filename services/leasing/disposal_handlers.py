"""Disposals unsold or given up, and the policy of reserves, one transaction a command."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

from google.protobuf.message import Message
from ironloop.leasing.v1 import leasing_events_pb2 as events

from services.kit.errors import PermissionDenied
from services.kit.principals import Principal, service_principal
from services.kit.transaction import Transaction
from services.leasing import disposal_store, lease_store
from services.leasing.announcements import announce, sides
from services.leasing.busy import begin
from services.leasing.disposal_model import (
    REVALUED_AFTER_UNSOLD,
    Disposal,
    DisposalState,
    Policy,
    check_steps,
)
from services.leasing.lifecycle import DISPOSAL
from services.leasing.locks import lock_for_claim
from services.leasing.model import Lease


async def lock_disposal(
    tx: Transaction, disposal_id: UUID, *, viewer: Principal
) -> tuple[Lease, Disposal]:
    """Return a disposal that the viewer may see, and its lease, free and locked.

    Raises:
        NotFound, LeaseBusy.
    """
    seen = await disposal_store.get_disposal(tx.connection, disposal_id, viewer=viewer)
    lease = await lock_for_claim(tx, seen.lease_id)
    return lease, await disposal_store.get_disposal(tx.connection, disposal_id, viewer=viewer)


async def cancel_disposal(tx: Transaction, disposal_id: UUID, *, viewer: Principal) -> Disposal:
    """Give a disposal up.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
    """
    lease, disposal = await _lock_as_lessor(tx, disposal_id, viewer=viewer)
    step = DISPOSAL.next(disposal.state, "cancel", subject=disposal.name)
    _, cancelled = await _tell(
        tx, lease, replace(disposal, state=step.target), events.DisposalCancelled
    )
    return cancelled


async def record_unsold(tx: Transaction, disposal_id: UUID, *, viewer: Principal) -> Disposal:
    """Note that a sale found no buyer.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, TransitionRefused.
    """
    lease, disposal = await _lock_as_lessor(tx, disposal_id, viewer=viewer)
    return await _note_unsold(tx, lease, disposal)


async def note_unsold_auction(tx: Transaction, disposal_id: UUID, *, machine: str) -> None:
    """Note that an auction of a disposal closed without a buyer; one that is over stays so.

    A listing of another machine may name the disposal; its auctions change nothing.

    Raises:
        LeaseBusy: A saga works on the lease.
    """
    ours = service_principal(tx.service)
    seen = await disposal_store.find_disposal(tx.connection, disposal_id, viewer=ours)
    if seen is None or seen.state is not DisposalState.OPEN or seen.machine != machine:
        return
    lease, disposal = await lock_disposal(tx, disposal_id, viewer=ours)
    if disposal.state is DisposalState.OPEN:
        await _note_unsold(tx, lease, disposal)


async def publish_policy(tx: Transaction, steps: Sequence[tuple[int, Decimal]]) -> Policy:
    """Publish the next version of the policy table.

    Raises:
        InvalidArgument: As `check_steps` says.
    """
    check_steps(steps)
    return await disposal_store.insert_policy(tx.connection, steps, at=tx.now)


async def _note_unsold(tx: Transaction, lease: Lease, disposal: Disposal) -> Disposal:
    """Count a sale without a buyer; after every second one the machine is valued anew."""
    step = DISPOSAL.next(disposal.state, "record_unsold", subject=disposal.name)
    count = disposal.unsold_count + 1
    lease, noted = await _tell(
        tx,
        lease,
        replace(disposal, state=step.target, unsold_count=count),
        events.DisposalUnsold,
        unsold_count=count,
    )
    if count % REVALUED_AFTER_UNSOLD == 0:
        await begin(tx, lease, "lease_disposal_revaluation", disposal=disposal.name)
    return noted


async def _tell(
    tx: Transaction, lease: Lease, disposal: Disposal, event: type[Message], **content: Any
) -> tuple[Lease, Disposal]:
    """Write a changed disposal and tell of it under its lease."""
    lease = await announce(tx, lease, event, disposal=disposal.name, **content, **sides(lease))
    lease = await lease_store.update_lease(tx.connection, lease, at=tx.now)
    told = replace(disposal, event_sequence=lease.event_sequence)
    return lease, await disposal_store.update_disposal(tx.connection, told, at=tx.now)


async def _lock_as_lessor(
    tx: Transaction, disposal_id: UUID, *, viewer: Principal
) -> tuple[Lease, Disposal]:
    lease, disposal = await lock_disposal(tx, disposal_id, viewer=viewer)
    if viewer.party != disposal.lessor:
        raise PermissionDenied(f"only the lessor of {disposal.name} may do this")
    return lease, disposal
