"""Demand pools until they are locked: who joins, who sees them, when they fail."""

from datetime import timedelta

import pytest
from ironloop.procurement.v1 import pools_pb2

from services.kit import wire
from tests.integration.procurement.trade import ADDRESS, Trade, pools, request_id
from tests.support.refusals import refused


async def test_members_join_and_leave_until_the_pool_is_locked(trade: Trade) -> None:
    organiser, other = await trade.buyer(), await trade.buyer()
    pool = (await trade.pool(organiser, target=5)).name
    await trade.join(organiser, pool, 3)
    await trade.join(other, pool, 4)
    left = await pools(other).LeavePool(
        pools_pb2.LeavePoolRequest(request_id=request_id(), pool=pool)
    )
    assert left.state == pools_pb2.MEMBERSHIP_STATE_LEFT
    again = await trade.join(other, pool, 2)
    assert (again.name, again.quantity) == (left.name, 2)
    locked = await trade.lock(organiser, pool)
    assert (locked.state, locked.pooled_quantity, locked.member_count) == (
        pools_pb2.POOL_STATE_LOCKED,
        5,
        2,
    )
    with refused("TRANSITION_REFUSED"):
        await trade.join(await trade.buyer(), pool)
    with refused("TRANSITION_REFUSED"):
        await pools(other).LeavePool(pools_pb2.LeavePoolRequest(request_id=request_id(), pool=pool))


async def test_a_member_joins_once_and_who_is_none_cannot_leave(trade: Trade) -> None:
    organiser = await trade.buyer()
    pool = (await trade.pool(organiser)).name
    await trade.join(organiser, pool)
    with refused("ALREADY_MEMBER"):
        await trade.join(organiser, pool)
    with refused("NOT_FOUND"):
        await pools(await trade.buyer()).LeavePool(
            pools_pb2.LeavePoolRequest(request_id=request_id(), pool=pool)
        )


async def test_a_pool_holds_200_machines_at_most(trade: Trade) -> None:
    organiser = await trade.buyer()
    pool = (await trade.pool(organiser, target=200)).name
    await trade.join(organiser, pool, 199)
    with refused("POOL_TOO_LARGE"):
        await trade.join(await trade.buyer(), pool, 2)
    assert (await trade.join(await trade.buyer(), pool, 1)).quantity == 1


async def test_a_pool_below_its_target_is_not_locked_before_the_deadline(trade: Trade) -> None:
    organiser = await trade.buyer()
    pool = (await trade.pool(organiser, target=2)).name
    await trade.join(organiser, pool)
    with refused("POOL_NOT_READY"):
        await trade.lock(organiser, pool)


async def test_only_the_organiser_locks(trade: Trade) -> None:
    organiser, member = await trade.buyer(), await trade.buyer()
    pool = (await trade.pool(organiser)).name
    await trade.join(member, pool)
    with refused("NOT_THE_ORGANISER"):
        await trade.lock(member, pool)


async def test_a_member_sees_its_own_membership_and_the_organiser_all(trade: Trade) -> None:
    organiser, one, two = [await trade.buyer() for _ in range(3)]
    pool = (await trade.pool(organiser, target=9)).name
    first, second = await trade.join(one, pool, 1), await trade.join(two, pool, 2)
    request = pools_pb2.ListMembershipsRequest(pool=pool)
    assert list((await pools(organiser).ListMemberships(request)).memberships) == [first, second]
    assert list((await pools(one).ListMemberships(request)).memberships) == [first]
    assert list((await pools(await trade.seller()).ListMemberships(request)).memberships) == []


async def test_memberships_are_paged_in_the_order_of_joining(trade: Trade) -> None:
    organiser = await trade.buyer()
    pool = (await trade.pool(organiser, target=9)).name
    joined = [await trade.join(await trade.buyer(), pool) for _ in range(3)]
    request = pools_pb2.ListMembershipsRequest(pool=pool, page_size=2)
    first = await pools(organiser).ListMemberships(request)
    request.page_token = first.next_page_token
    second = await pools(organiser).ListMemberships(request)
    assert [*first.memberships, *second.memberships] == joined
    assert not second.next_page_token


async def test_a_pool_below_its_minimum_at_the_deadline_fails(trade: Trade) -> None:
    organiser, member, stranger = [await trade.buyer() for _ in range(3)]
    failing = (await trade.pool(organiser, minimum=2, target=3, days=1)).name
    holding = (await trade.pool(organiser, minimum=1, target=3, days=1)).name
    await trade.join(member, failing)
    await trade.join(member, holding)
    await trade.world.advance_days(2)
    failed = await pools(organiser).GetPool(pools_pb2.GetPoolRequest(name=failing))
    locked = await pools(organiser).GetPool(pools_pb2.GetPoolRequest(name=holding))
    assert failed.state == pools_pb2.POOL_STATE_FAILED
    assert failed.failure == pools_pb2.POOL_FAILURE_BELOW_MINIMUM
    assert (locked.state, locked.pooled_quantity) == (pools_pb2.POOL_STATE_LOCKED, 1)
    # A failed pool is seen by those whom it concerned.
    assert await pools(member).GetPool(pools_pb2.GetPoolRequest(name=failing)) == failed
    with refused("NOT_FOUND"):
        await pools(stranger).GetPool(pools_pb2.GetPoolRequest(name=failing))


async def test_a_pool_that_nobody_quotes_in_fails_when_quoting_ends(trade: Trade) -> None:
    organiser = await trade.buyer()
    today = trade.world.today()
    pool = (await trade.pool(organiser, quote_until=today + timedelta(days=10))).name
    await trade.join(organiser, pool)
    await trade.lock(organiser, pool)
    await trade.world.advance_to(today + timedelta(days=10))
    request = pools_pb2.GetPoolRequest(name=pool)
    assert (await pools(organiser).GetPool(request)).state == pools_pb2.POOL_STATE_LOCKED
    await trade.world.advance_days(1)
    failed = await pools(organiser).GetPool(request)
    assert failed.state == pools_pb2.POOL_STATE_FAILED
    assert failed.failure == pools_pb2.POOL_FAILURE_NO_VALID_QUOTE


async def test_open_pools_are_listed_the_newest_first(trade: Trade) -> None:
    organiser = await trade.buyer()
    made = [await trade.pool(organiser) for _ in range(3)]
    request = pools_pb2.ListPoolsRequest(page_size=2, state=pools_pb2.POOL_STATE_OPEN)
    seller = await trade.seller()
    first = await pools(seller).ListPools(request)
    assert list(first.pools) == made[:0:-1]
    request.page_token = first.next_page_token
    assert (await pools(seller).ListPools(request)).pools[0] == made[0]
    with refused("INVALID_PAGE_TOKEN"):
        await pools(organiser).ListPools(request)


@pytest.mark.parametrize(
    ("field", "days_ahead"), [("join_until", -1), ("join_until", 367), ("quote_until", 2)]
)
async def test_dates_outside_their_limits_are_refused_by_name(
    trade: Trade, field: str, days_ahead: int
) -> None:
    today = trade.world.today()
    dates = {"join_until": today + timedelta(days=5)} | {field: today + timedelta(days=days_ahead)}
    with refused("INVALID_FIELD") as refusal:
        await pools(await trade.buyer()).CreatePool(
            pools_pb2.CreatePoolRequest(
                request_id=request_id(),
                specification=pools_pb2.MachineSpecification(make="SANY"),
                region="Hunan",
                minimum_quantity=1,
                target_quantity=1,
                **{name: wire.date(day) for name, day in dates.items()},
            )
        )
    assert field in refusal.status.message


async def test_a_pool_needs_a_specification_and_quantities_in_order(trade: Trade) -> None:
    with refused("INVALID_FIELD") as refusal:
        await pools(await trade.buyer()).CreatePool(
            pools_pb2.CreatePoolRequest(
                request_id=request_id(),
                specification=pools_pb2.MachineSpecification(build_year_min=2020),
                region="Hunan",
                minimum_quantity=3,
                target_quantity=2,
                join_until=wire.date(trade.world.today()),
            )
        )
    assert "make, model or equipment_class is needed" in refusal.status.message
    assert "minimum_quantity must not exceed target_quantity" in refusal.status.message


async def test_a_repeated_join_counts_once(trade: Trade) -> None:
    organiser = await trade.buyer()
    pool = (await trade.pool(organiser, target=9)).name
    request = pools_pb2.JoinPoolRequest(
        request_id=request_id(), pool=pool, quantity=2, delivery_address=ADDRESS
    )
    first = await pools(organiser).JoinPool(request)
    assert await pools(organiser).JoinPool(request) == first
    found = await pools(organiser).GetPool(pools_pb2.GetPoolRequest(name=pool))
    assert (found.pooled_quantity, found.member_count) == (2, 1)
