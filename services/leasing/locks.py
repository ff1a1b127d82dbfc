"""Leases locked for change, by who may change them."""

from uuid import UUID

from services.kit.errors import NotFound, PermissionDenied
from services.kit.ids import name, parse_name
from services.kit.principals import Principal, principal, service_principal
from services.kit.transaction import Transaction
from services.leasing import lease_store
from services.leasing.model import Lease


async def lock_as_side(tx: Transaction, lease_id: UUID, *, viewer: Principal) -> Lease:
    """Return a free lease of which the viewer's party is lessor or lessee, locked for change.

    Raises:
        NotFound: There is none.
        PermissionDenied: The viewer is neither.
        LeaseBusy: A saga works on it.
    """
    lease = await lease_store.lock_lease(tx.connection, lease_id, viewer=viewer)
    if viewer.party not in (lease.terms.lessor, lease.terms.lessee):
        raise PermissionDenied(f"only lessor and lessee of {lease.name} may do this")
    lease.require_free()
    return lease


async def lock_as_lessee(tx: Transaction, lease_id: UUID, *, viewer: Principal) -> Lease:
    """Return the viewer's lease as lessee, free and locked for change.

    Raises:
        NotFound, PermissionDenied, LeaseBusy.
    """
    lease = await lock_as_side(tx, lease_id, viewer=viewer)
    if viewer.party != lease.terms.lessee:
        raise PermissionDenied(f"only the lessee of {lease.name} may do this")
    return lease


async def lock_as_lessor(tx: Transaction, lease_id: UUID, *, viewer: Principal) -> Lease:
    """Return the viewer's lease as lessor, free and locked for change.

    Raises:
        NotFound, PermissionDenied, LeaseBusy.
    """
    lease = await lock_as_side(tx, lease_id, viewer=viewer)
    if viewer.party != lease.terms.lessor:
        raise PermissionDenied(f"only the lessor of {lease.name} may do this")
    return lease


async def lock_by_name(tx: Transaction, lease: str) -> Lease:
    """Return a lease that a timer, a saga or another service works for, locked for change.

    Raises:
        NotFound: There is none.
    """
    lease_id = parse_name(lease, "leases", field="lease")
    return await lease_store.lock_lease(tx.connection, lease_id, viewer=principal())


async def lock_as_inspector(tx: Transaction, lease_id: UUID, *, viewer: Principal) -> Lease:
    """Return a lease whose machine the viewer's party may inspect, free and locked for change.

    Raises:
        NotFound, LeaseBusy.
        PermissionDenied: It is neither the lessor nor the inspector whom the lessor named.
    """
    lease = await lease_store.lock_lease(tx.connection, lease_id, viewer=viewer)
    if viewer.party not in (lease.terms.lessor, lease.inspector):
        raise PermissionDenied(f"only the lessor of {lease.name} and its inspector may do this")
    lease.require_free()
    return lease


async def lock_as_insurer(tx: Transaction, lease_id: UUID, *, viewer: Principal) -> Lease:
    """Return a lease whose loss the viewer's party is to pay, free and locked for change.

    Raises:
        NotFound, LeaseBusy.
        PermissionDenied: It is not the insurer.
    """
    lease = await lease_store.lock_lease(tx.connection, lease_id, viewer=viewer)
    if lease.loss is not None and viewer.party != lease.loss.insurer:
        raise PermissionDenied(f"only the insurer of {lease.name} may do this")
    lease.require_free()
    return lease


async def lock_as_owner(tx: Transaction, lease_id: UUID, *, viewer: Principal) -> Lease:
    """Return a lease that the viewer sees, perhaps as owner of instalments, free and locked.

    Raises:
        NotFound, LeaseBusy.
    """
    if await lease_store.find_lease(tx.connection, lease_id, viewer=viewer) is None:
        raise NotFound(name("leases", lease_id))
    return await lock_for_claim(tx, lease_id)


async def lock_for_claim(tx: Transaction, lease_id: UUID) -> Lease:
    """Return the lease of a claim or disposal that its caller sees, free and locked for change.

    Raises:
        LeaseBusy: A saga works on it.
    """
    ours = service_principal(tx.service)
    lease = await lease_store.lock_lease(tx.connection, lease_id, viewer=ours)
    lease.require_free()
    return lease
