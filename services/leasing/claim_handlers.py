"""Claims: written for written-off instalments, paid, and given up, one transaction a command."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from ironloop.leasing.v1 import claims_pb2
from ironloop.leasing.v1 import leasing_events_pb2 as events

from services.kit import wire
from services.kit.connection import Connection
from services.kit.errors import NotFound, PermissionDenied
from services.kit.ids import name
from services.kit.principals import Principal
from services.kit.transaction import Transaction
from services.leasing import claim_store, instalment_store, lease_store
from services.leasing.announcements import announce, parts, sides
from services.leasing.claim_model import Claim, ClaimKind, invoice, with_payment
from services.leasing.instalment_handlers import set_agenda
from services.leasing.instalment_model import Instalment
from services.leasing.lifecycle import CLAIM, INSTALMENT, LEASE
from services.leasing.locks import lock_as_owner, lock_for_claim
from services.leasing.model import Lease


async def get_claim(connection: Connection, claim_id: UUID, *, viewer: Principal) -> Claim:
    """Return a claim that the viewer may see.

    Raises:
        NotFound: There is none.
    """
    claim = await claim_store.find_claim(connection, claim_id, viewer=viewer)
    if claim is None:
        raise NotFound(name("claims", claim_id))
    return claim


async def lock_claim(tx: Transaction, claim_id: UUID, *, viewer: Principal) -> tuple[Lease, Claim]:
    """Return a claim that the viewer may see, and its lease, free and locked.

    Raises:
        NotFound, LeaseBusy.
    """
    seen = await get_claim(tx.connection, claim_id, viewer=viewer)
    lease = await lock_for_claim(tx, seen.lease_id)
    return lease, await get_claim(tx.connection, claim_id, viewer=viewer)


async def waive_claim(tx: Transaction, claim_id: UUID, *, viewer: Principal, reason: str) -> Claim:
    """Give a claim up.

    Raises:
        NotFound, LeaseBusy, TransitionRefused.
        PermissionDenied: The viewer is not its creditor.
    """
    lease, claim = await lock_claim(tx, claim_id, viewer=viewer)
    if viewer.party != claim.creditor:
        raise PermissionDenied(f"only the creditor of {claim.name} may do this")
    step = CLAIM.next(claim.state, "waive", subject=claim.name)
    lease = await announce(
        tx,
        lease,
        events.ClaimWaived,
        claim=claim.name,
        creditor=claim.creditor,
        debtor=claim.debtor,
        amount=wire.money(claim.owed_fen),
        reason=reason,
        **sides(lease),
    )
    await lease_store.update_lease(tx.connection, lease, at=tx.now)
    waived = replace(claim, state=step.target, reason=reason, event_sequence=lease.event_sequence)
    return await claim_store.update_claim(tx.connection, waived, at=tx.now)


async def enter_payment(tx: Transaction, lease: Lease, claim: Claim, *, amount_fen: int) -> Lease:
    """Enter a payment on a claim of a locked lease; returns the lease to be written."""
    paid = with_payment(claim, amount_fen)
    command = "pay_part" if paid.owed_fen else "pay"
    step = CLAIM.next(claim.state, command, subject=claim.name)
    left_fen = paid.owed_fen
    lease = await announce(
        tx,
        lease,
        events.ClaimPaid,
        claim=claim.name,
        creditor=claim.creditor,
        debtor=claim.debtor,
        amount=wire.money(amount_fen),
        left=wire.money(left_fen),
        state=wire.enum_number(claims_pb2.ClaimState, step.target, prefix="CLAIM_STATE_"),
        **sides(lease),
    )
    await claim_store.update_claim(
        tx.connection,
        replace(paid, state=step.target, event_sequence=lease.event_sequence),
        at=tx.now,
    )
    return lease


async def write_off(
    tx: Transaction,
    lease_id: UUID,
    *,
    viewer: Principal,
    numbers: Sequence[int],
    reason: str,
) -> list[Claim]:
    """Write overdue instalments of the viewer's off; what is owed on each becomes a claim.

    Raises:
        NotFound: There is no such lease, or no such instalment.
        PermissionDenied: One belongs to another owner.
        LeaseBusy, TransitionRefused: Of the lease, or of an instalment that is not OVERDUE.
    """
    lease = await lock_as_owner(tx, lease_id, viewer=viewer)
    LEASE.next(lease.state, "write_off", subject=lease.name)
    found = await instalment_store.list_numbers(tx.connection, lease.id, numbers)
    missing = set(numbers) - {item.number for item in found}
    if missing:
        raise NotFound(f"{lease.name}/instalments/{min(missing)}")
    claims, ended = [], []
    for instalment in found:
        if instalment.owner != viewer.party:
            raise PermissionDenied(f"{instalment.name} belongs to another owner")
        lease, claim, over = await _write_off(tx, lease, instalment, reason=reason)
        claims.append(claim)
        ended.append(over)
    await instalment_store.update_instalments(tx.connection, ended)
    await set_agenda(tx, lease, await instalment_store.list_of_lease(tx.connection, lease.id))
    await lease_store.update_lease(tx.connection, lease, at=tx.now)
    return claims


async def _write_off(
    tx: Transaction, lease: Lease, instalment: Instalment, *, reason: str
) -> tuple[Lease, Claim, Instalment]:
    step = INSTALMENT.next(instalment.state, "write_off", subject=instalment.name)
    accrued = instalment.accrued_to(tx.today)
    owed = accrued.owed
    claim = invoice(
        lease,
        ClaimKind.ARREARS,
        creditor=instalment.owner,
        amount_fen=owed.total_fen,
        reference=instalment.name,
        at=tx.now,
    )
    await claim_store.insert_claim(tx.connection, claim)
    lease = await announce(
        tx,
        replace(lease, outstanding_fen=lease.outstanding_fen - owed.principal_fen),
        events.InstalmentWrittenOff,
        owner=instalment.owner,
        number=instalment.number,
        owed=parts(owed),
        claim=claim.name,
        reason=reason,
        **sides(lease),
    )
    return lease, claim, replace(accrued, state=step.target)
