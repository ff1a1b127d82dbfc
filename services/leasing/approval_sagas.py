"""Approval and release across services: the machine is held for a lease, or let go again."""

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from google.protobuf.message import Message

from services.kit.etags import check_etag
from services.kit.ids import parse_name
from services.kit.principals import Principal, principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.leasing import clients, disposal_store, lease_store, messages
from services.leasing.busy import begin, end, end_refused
from services.leasing.errors import DisposalOpen, LessorLacksTitle, MachineLeased
from services.leasing.handlers import EXPIRY, begin_release
from services.leasing.lifecycle import LEASE
from services.leasing.locks import lock_as_lessor, lock_as_side, lock_by_name
from services.leasing.model import RESERVED_FOR


async def answer_lease(tx: Transaction, saga: Saga) -> Message:
    """Return the lease as the answer of the command that began the saga."""
    lease_id = parse_name(saga.subject, "leases")
    lease = await lease_store.find_lease(tx.connection, lease_id, viewer=principal())
    assert lease is not None
    return messages.lease_to_wire(lease)


async def begin_approval(tx: Transaction, lease_id: UUID, *, viewer: Principal, etag: str) -> Saga:
    """Begin to approve an application.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, EtagMismatch, TransitionRefused.
        MachineLeased: Another live lease holds the machine.
        DisposalOpen: The machine is for sale.
    """
    lease = await lock_as_lessor(tx, lease_id, viewer=viewer)
    check_etag(etag, lease.version)
    LEASE.next(lease.state, "approve", subject=lease.name)
    if await lease_store.is_machine_leased(tx.connection, lease):
        raise MachineLeased(lease.terms.machine)
    for_sale = await disposal_store.find_open(tx.connection, lease.terms.machine)
    if for_sale is not None:
        raise DisposalOpen(lease.terms.machine, for_sale)
    reserved_until = tx.now + RESERVED_FOR
    return await begin(tx, lease, "lease_approval", reserved_until=reserved_until.isoformat())


async def _reserve(runtime: Runtime, saga: Saga) -> Facts:
    facts = saga.facts
    machine = await clients.get_machine(runtime.peers, facts["machine"], actor=saga.actor)
    if machine.title_holder != facts["lessor"]:
        raise LessorLacksTitle(machine.name, facts["lessor"])
    await clients.reserve_machine(
        runtime.peers,
        machine.name,
        lease=saga.subject,
        lessee=facts["lessee"],
        until=datetime.fromisoformat(facts["reserved_until"]),
        request_id=saga.request_id("reserve"),
    )
    return {}


async def _release(runtime: Runtime, saga: Saga) -> None:
    await clients.release_machine(
        runtime.peers,
        saga.facts["machine"],
        lease=saga.subject,
        request_id=saga.retry_request_id("release"),
    )


async def _approve(tx: Transaction, saga: Saga) -> None:
    lease = await lock_by_name(tx, saga.subject)
    step = LEASE.next(lease.state, "approve", subject=lease.name)
    expire_at = datetime.fromisoformat(saga.facts["reserved_until"])
    await tx.set_timer(EXPIRY, lease.name, due_at=expire_at)
    await end(tx, replace(lease, state=step.target, expire_at=expire_at))


APPROVAL = SagaKind(
    kind="lease_approval",
    steps=(Step("reserve", call=_reserve, apply=_approve, undo=_release),),
    answer=answer_lease,
    on_refused=end_refused,
)


async def begin_cancellation(
    tx: Transaction, lease_id: UUID, *, viewer: Principal, etag: str, reason: str
) -> Saga:
    """Begin to cancel a lease that is not active yet.

    Raises:
        NotFound, PermissionDenied, LeaseBusy, EtagMismatch, TransitionRefused.
    """
    lease = await lock_as_side(tx, lease_id, viewer=viewer)
    check_etag(etag, lease.version)
    LEASE.next(lease.state, "cancel", subject=lease.name)
    return await begin_release(tx, lease, command="cancel", reason=reason)


async def _release_if_reserved(runtime: Runtime, saga: Saga) -> Facts:
    if saga.facts["is_reserved"]:
        await _release(runtime, saga)
    return {}


async def _end_released(tx: Transaction, saga: Saga) -> None:
    lease = await lock_by_name(tx, saga.subject)
    step = LEASE.next(lease.state, saga.facts["command"], subject=lease.name)
    await tx.cancel_timers(lease.name)
    await end(tx, replace(lease, state=step.target, expire_at=None, reason=saga.facts["reason"]))


RELEASE = SagaKind(
    kind="lease_release",
    steps=(Step("release", call=_release_if_reserved, apply=_end_released),),
    answer=answer_lease,
    on_refused=end_refused,
)
