"""What is done with pools and memberships until a pool is locked, one transaction a command."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID

from ironloop.procurement.v1 import procurement_events_pb2 as events

from services.kit import sagas, wire
from services.kit.clock import start_of
from services.kit.database import Database
from services.kit.errors import NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.principals import Principal, principal
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.procurement import pool_store, quote_store
from services.procurement.errors import AlreadyMember, NotTheOrganiser, PoolNotReady, PoolTooLarge
from services.procurement.lifecycle import MEMBERSHIP, POOL
from services.procurement.order_model import Address
from services.procurement.pool_model import (
    POOLED_QUANTITY_MAX,
    QUOTING_DAYS,
    Membership,
    MembershipState,
    Pool,
    PoolFailure,
    PoolState,
    Specification,
    check_dates,
)
from services.procurement.pool_wire import failure_number, specification_to_wire

JOINING_TIMER = "pool_joining"
QUOTING_TIMER = "pool_quoting"

_DAY = timedelta(days=1)


async def create_pool(
    tx: Transaction,
    *,
    specification: Specification,
    region: str,
    minimum_quantity: int,
    target_quantity: int,
    join_until: date,
    quote_until: date | None,
) -> Pool:
    """Open a pool; the caller's party is its organiser, and no member yet.

    Raises:
        DatesOutOfOrder: A date lies outside its limits.
    """
    check_dates(join_until, quote_until, today=tx.today)
    pool = Pool(
        id=new_id(),
        version=1,
        event_sequence=1,
        state=PoolState.OPEN,
        organiser=principal().require_party(),
        specification=specification,
        region=region,
        minimum_quantity=minimum_quantity,
        target_quantity=target_quantity,
        pooled_quantity=0,
        member_count=0,
        join_until=join_until,
        quote_until=quote_until,
        create_time=tx.now,
        update_time=tx.now,
    )
    await pool_store.insert_pool(tx.connection, pool)
    await tx.set_timer(JOINING_TIMER, pool.name, due_at=start_of(join_until + _DAY))
    await tx.emit(
        events.DemandPoolOpened(
            pool=pool.name,
            sequence=pool.event_sequence,
            organiser=pool.organiser,
            specification=specification_to_wire(specification),
            minimum_quantity=minimum_quantity,
            target_quantity=target_quantity,
            join_until=wire.date(join_until),
        )
    )
    return pool


async def get_pool(database: Database, pool_id: UUID, *, viewer: Principal) -> Pool:
    """Return a pool.

    Raises:
        NotFound: There is none that the viewer may see.
    """
    async with database.read() as connection:
        pool = await pool_store.find_pool(connection, pool_id, viewer=viewer)
    if pool is None:
        raise NotFound(name("demandPools", pool_id))
    return pool


async def join(tx: Transaction, pool_id: UUID, *, quantity: int, address: Address) -> Membership:
    """Join an open pool, for the first time or again.

    Raises:
        NotFound, TransitionRefused, AlreadyMember, PoolTooLarge: As they say.
    """
    pool = await lock_pool(tx, pool_id)
    step = POOL.next(pool.state, "join", subject=pool.name)
    member = principal().require_party()
    former = await pool_store.find_membership(tx.connection, pool_id, member=member)
    if former is not None and former.state is MembershipState.JOINED:
        raise AlreadyMember(pool.name)
    pooled = pool.pooled_quantity + quantity
    if pooled > POOLED_QUANTITY_MAX:
        raise PoolTooLarge(pooled, POOLED_QUANTITY_MAX)
    membership = Membership(
        id=former.id if former else new_id(),
        pool_id=pool_id,
        member=member,
        quantity=quantity,
        address=address,
        state=MembershipState.JOINED,
        order_id=None,
        join_time=tx.now,
        update_time=tx.now,
    )
    await pool_store.write_membership(tx.connection, membership)
    await pool_store.update_pool(
        tx.connection,
        pool.moved(step, at=tx.now, pooled_quantity=pooled, member_count=pool.member_count + 1),
    )
    return membership


async def leave(tx: Transaction, pool_id: UUID) -> Membership:
    """Leave a pool that is not locked.

    Raises:
        NotFound: There is no such pool, or the caller never joined it.
        TransitionRefused: The pool is locked, or the caller has left it.
    """
    pool = await lock_pool(tx, pool_id)
    step = POOL.next(pool.state, "leave", subject=pool.name)
    membership = await pool_store.find_membership(
        tx.connection, pool_id, member=principal().require_party()
    )
    if membership is None:
        raise NotFound(f"your membership of {pool.name}")
    left = replace(
        membership,
        state=MEMBERSHIP.next(membership.state, "leave", subject=membership.name).target,
        update_time=tx.now,
    )
    await pool_store.write_membership(tx.connection, left)
    await pool_store.update_pool(
        tx.connection,
        pool.moved(
            step,
            at=tx.now,
            pooled_quantity=pool.pooled_quantity - membership.quantity,
            member_count=pool.member_count - 1,
        ),
    )
    return left


async def lock_by_organiser(tx: Transaction, pool_id: UUID, *, etag: str) -> Pool:
    """Let the organiser make a pool's quantity final once the target is reached.

    Raises:
        NotFound, NotTheOrganiser, EtagMismatch, TransitionRefused, PoolNotReady: As they say.
    """
    pool = await lock_pool(tx, pool_id)
    check_etag(etag, pool.version)
    POOL.next(pool.state, "lock", subject=pool.name)
    require_organiser(pool, "lock")
    if pool.pooled_quantity < pool.target_quantity:
        raise PoolNotReady(pool.name, pool.pooled_quantity, pool.target_quantity, pool.join_until)
    return await _lock_for_quotes(tx, pool)


async def close_joining(tx: Transaction, timer: Timer) -> None:
    """Lock a pool whose deadline has passed, or let it fail below its minimum."""
    pool = await lock_pool(tx, _pool_id_of(timer))
    if pool.state is not PoolState.OPEN:
        return
    if pool.pooled_quantity >= pool.minimum_quantity:
        await _lock_for_quotes(tx, pool)
    else:
        await _fail(tx, pool, PoolFailure.BELOW_MINIMUM)


async def close_quoting(tx: Transaction, timer: Timer) -> None:
    """Let a pool fail that has no quote which is still valid; else look again when the last lapses.

    Raises:
        SagaRunning: It is being awarded right now; the timer is tried again.
    """
    pool = await lock_pool(tx, _pool_id_of(timer))
    if pool.state not in (PoolState.LOCKED, PoolState.QUOTED):
        return
    await sagas.require_idle(tx.connection, pool.name)
    last = await quote_store.last_validity(tx.connection, pool.id)
    if last is not None and last >= tx.today:
        await tx.set_timer(QUOTING_TIMER, pool.name, due_at=start_of(last + _DAY))
        return
    await quote_store.lose_others(tx.connection, pool.id, at=tx.now)
    await _fail(tx, pool, PoolFailure.NO_VALID_QUOTE)


async def lock_pool(tx: Transaction, pool_id: UUID) -> Pool:
    """Return a pool, locked for change.

    Raises:
        NotFound: There is none that the caller may see.
    """
    pool = await pool_store.find_pool(tx.connection, pool_id, viewer=principal(), lock=True)
    if pool is None:
        raise NotFound(name("demandPools", pool_id))
    return pool


def require_organiser(pool: Pool, command: str) -> None:
    """Check that the caller acts for a pool's organiser.

    Raises:
        NotTheOrganiser: It does not.
    """
    if principal().party != pool.organiser:
        raise NotTheOrganiser(command, pool=pool.name)


async def _lock_for_quotes(tx: Transaction, pool: Pool) -> Pool:
    step = POOL.next(pool.state, "lock", subject=pool.name)
    locked = pool.moved(step, at=tx.now)
    await pool_store.update_pool(tx.connection, locked)
    await tx.cancel_timers(pool.name, kind=JOINING_TIMER)
    await tx.set_timer(
        QUOTING_TIMER,
        pool.name,
        due_at=start_of((pool.quote_until or tx.today + timedelta(days=QUOTING_DAYS)) + _DAY),
    )
    await tx.emit(
        events.DemandPoolLocked(
            pool=pool.name,
            sequence=locked.event_sequence,
            specification=specification_to_wire(pool.specification),
            pooled_quantity=pool.pooled_quantity,
        )
    )
    return locked


async def _fail(tx: Transaction, pool: Pool, failure: PoolFailure) -> None:
    step = POOL.next(pool.state, "fail", subject=pool.name)
    failed = pool.moved(step, at=tx.now, failure=failure)
    await pool_store.update_pool(tx.connection, failed)
    await tx.emit(
        events.DemandPoolFailed(
            pool=pool.name,
            sequence=failed.event_sequence,
            failure=failure_number(failure),
            pooled_quantity=pool.pooled_quantity,
        )
    )


def _pool_id_of(timer: Timer) -> UUID:
    return UUID(timer.subject.removeprefix("demandPools/"))
