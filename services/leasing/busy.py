"""A lease while a saga works on it: busy from the command that begins the saga to its end."""

from dataclasses import replace
from typing import Any

from services.kit.errors import DomainError
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.leasing import lease_store
from services.leasing.locks import lock_by_name
from services.leasing.model import Lease


async def begin(tx: Transaction, lease: Lease, kind: str, **facts: Any) -> Saga:
    """Start a saga of a free, locked lease, which is busy until it ends."""
    saga = await tx.start_saga(
        kind,
        lease.name,
        facts={
            "machine": lease.terms.machine,
            "lessor": lease.terms.lessor,
            "lessee": lease.terms.lessee,
            **facts,
        },
    )
    await lease_store.update_lease(tx.connection, replace(lease, saga_id=saga.id), at=tx.now)
    return saga


async def end(tx: Transaction, lease: Lease) -> Lease:
    """Write a lease as its saga leaves it, free again."""
    return await lease_store.update_lease(tx.connection, replace(lease, saga_id=None), at=tx.now)


async def end_refused(tx: Transaction, saga: Saga, _refusal: DomainError) -> None:
    """Free the lease of a saga that was refused; nothing else of it has changed."""
    await end(tx, await lock_by_name(tx, saga.subject))
