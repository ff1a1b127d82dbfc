"""Quotes and the award of a pool: who sees what, who wins, and what happens in a race."""

import asyncio
from datetime import timedelta

import grpc
import pytest
from google.type import date_pb2
from ironloop.marketplace.v1 import machines_pb2
from ironloop.procurement.v1 import orders_pb2, pools_pb2

from infra.local.client import Actor
from services.kit import wire
from tests.integration.procurement.trade import Trade, orders, pools, request_id
from tests.support.refusals import refused

OFFERED = pools_pb2.QUOTE_STATE_OFFERED
TIERS = ((5, "0.03"), (10, "0.06"))


async def locked_pool(trade: Trade, *quantities: int) -> tuple[list[Actor], str]:
    """Return the members of a locked pool, the organiser first, and its name."""
    members = [await trade.buyer() for _ in quantities]
    pool = (await trade.pool(members[0], target=sum(quantities))).name
    for member, quantity in zip(members, quantities, strict=True):
        await trade.join(member, pool, quantity)
    await trade.lock(members[0], pool)
    return members, pool


async def test_twelve_pooled_machines_cost_5_076_000_and_every_member_gets_its_order(
    trade: Trade,
) -> None:
    members, pool = await locked_pool(trade, 5, 4, 3)
    seller = await trade.seller()
    machines = await trade.machines(seller, 13)
    quote = await trade.quote(seller, pool, machines, unit_fen=45_000_000, tiers=TIERS)
    assert wire.fen(quote.landed_cost, field="cost") == 507_600_000  # WE-19
    awarded = await trade.award(members[0], pool)
    assert awarded.state == pools_pb2.POOL_STATE_ORDERED
    assert awarded.awarded_quote == quote.name
    assert wire.fen(awarded.awarded_unit_price, field="price") == 42_300_000
    assert wire.fen(awarded.awarded_landed_cost, field="cost") == 507_600_000
    allotted: list[str] = []
    for member, quantity in zip(members, (5, 4, 3), strict=True):
        listed = await orders(member).ListOrders(orders_pb2.ListOrdersRequest(pool=pool))
        (order,) = listed.orders
        assert (order.buyer, order.seller, order.pool) == (member.party, seller.party, pool)
        assert wire.fen(order.total, field="total") == quantity * 42_300_000
        allotted += [line.machine for line in order.lines]
        mine = await pools(member).ListMemberships(pools_pb2.ListMembershipsRequest(pool=pool))
        assert order.name in [membership.order for membership in mine.memberships]
    # Who joined earlier gets what the quote names earlier; the thirteenth stays free.
    assert allotted == machines[:12]
    free = await trade.look_up(machines[12])
    assert free.custody == machines_pb2.CUSTODY_AVAILABLE
    names = [event.DESCRIPTOR.name for event in await trade.events(pool)]
    assert names == [
        "DemandPoolOpened",
        "DemandPoolLocked",
        "DemandPoolAwarded",
        "DemandPoolOrdered",
    ]


async def test_the_lowest_landed_cost_wins_and_of_equal_ones_the_earlier(trade: Trade) -> None:
    (organiser,), pool = await locked_pool(trade, 2)
    sellers = [await trade.seller() for _ in range(3)]
    offered = [await trade.machines(seller, 2) for seller in sellers]
    # Lower unit price, higher landed cost; then two that cost the same.
    await trade.quote(sellers[0], pool, offered[0], unit_fen=90, transport_fen=15, other_fen=5)
    early = await trade.quote(sellers[1], pool, offered[1], unit_fen=100)
    await trade.quote(sellers[2], pool, offered[2], unit_fen=95, transport_fen=5)
    awarded = await trade.award(organiser, pool)
    assert awarded.awarded_quote == early.name
    quotes = (await pools(organiser).ListQuotes(pools_pb2.ListQuotesRequest(pool=pool))).quotes
    assert [pools_pb2.QuoteState.Name(quote.state) for quote in quotes] == [
        "QUOTE_STATE_LOST",
        "QUOTE_STATE_AWARDED",
        "QUOTE_STATE_LOST",
    ]


async def test_transport_and_other_cost_are_part_of_what_each_member_pays(trade: Trade) -> None:
    (organiser,), pool = await locked_pool(trade, 1)
    seller = await trade.seller()
    machines = await trade.machines(seller, 1)
    await trade.quote(seller, pool, machines, unit_fen=1_000, transport_fen=200, other_fen=30)
    await trade.award(organiser, pool)
    listed = await orders(organiser).ListOrders(orders_pb2.ListOrdersRequest(pool=pool))
    assert wire.fen(listed.orders[0].total, field="total") == 1_230


async def test_quotes_are_hidden_from_competing_sellers_until_the_award(trade: Trade) -> None:
    (organiser, member), pool = await locked_pool(trade, 1, 1)
    one, two, none = [await trade.seller() for _ in range(3)]
    first = await trade.quote(one, pool, await trade.machines(one, 2), unit_fen=100)
    second = await trade.quote(two, pool, await trade.machines(two, 2), unit_fen=200)
    listing = pools_pb2.ListQuotesRequest(pool=pool)
    assert list((await pools(one).ListQuotes(listing)).quotes) == [first]
    assert list((await pools(none).ListQuotes(listing)).quotes) == []
    with refused("NOT_FOUND"):
        await pools(two).GetQuote(pools_pb2.GetQuoteRequest(name=first.name))
    for insider in (organiser, member):
        assert list((await pools(insider).ListQuotes(listing)).quotes) == [first, second]
    await trade.award(organiser, pool)
    shown = await pools(two).GetQuote(pools_pb2.GetQuoteRequest(name=first.name))
    assert shown.state == pools_pb2.QUOTE_STATE_AWARDED
    # Who did not quote does not see the awarded pool at all.
    with refused("NOT_FOUND"):
        await pools(none).ListQuotes(listing)


async def test_two_awards_that_race_make_one_set_of_orders(trade: Trade) -> None:
    (organiser,), pool = await locked_pool(trade, 2)
    seller = await trade.seller()
    await trade.quote(seller, pool, await trade.machines(seller, 2))
    answers = await asyncio.gather(
        *(trade.award(organiser, pool) for _ in range(4)), return_exceptions=True
    )
    won = [answer for answer in answers if isinstance(answer, pools_pb2.Pool)]
    refusals = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert (len(won), len(refusals)) == (1, 3)
    assert {error.code() for error in refusals} <= {
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
    listed = await orders(organiser).ListOrders(orders_pb2.ListOrdersRequest(pool=pool))
    assert len(listed.orders) == 1


async def test_two_pools_that_award_the_same_machine_give_it_to_one(trade: Trade) -> None:
    pairs = [await locked_pool(trade, 1) for _ in range(2)]
    seller = await trade.seller()
    machines = await trade.machines(seller, 1)
    for _, pool in pairs:
        await trade.quote(seller, pool, machines)
    answers = await asyncio.gather(
        *(trade.award(members[0], pool) for members, pool in pairs), return_exceptions=True
    )
    assert sum(isinstance(answer, pools_pb2.Pool) for answer in answers) == 1
    listed = [
        order
        for members, pool in pairs
        for order in (
            await orders(members[0]).ListOrders(orders_pb2.ListOrdersRequest(pool=pool))
        ).orders
    ]
    assert [line.machine for order in listed for line in order.lines] == machines
    held = await trade.look_up(machines[0])
    assert held.reservation.reference == listed[0].name


async def test_a_quote_whose_machine_is_gone_lapses_and_the_next_award_passes_it_over(
    trade: Trade,
) -> None:
    (organiser,), pool = await locked_pool(trade, 2)
    cheap, dear = await trade.seller(), await trade.seller()
    machines = await trade.machines(cheap, 2)
    gone = await trade.quote(cheap, pool, machines, unit_fen=100)
    stands = await trade.quote(dear, pool, await trade.machines(dear, 2), unit_fen=200)
    await trade.scrap(cheap, machines[1])
    with refused("MACHINE_SCRAPPED"):
        await trade.award(organiser, pool)
    lapsed = await pools(organiser).GetQuote(pools_pb2.GetQuoteRequest(name=gone.name))
    assert (lapsed.state, lapsed.lapse_reason) == (
        pools_pb2.QUOTE_STATE_LAPSED,
        "MACHINE_SCRAPPED",
    )
    # What had been reserved of it is free again.
    assert (await trade.look_up(machines[0])).custody == machines_pb2.CUSTODY_AVAILABLE
    assert (await trade.award(organiser, pool)).awarded_quote == stands.name


async def test_the_award_waits_for_the_end_of_quoting(trade: Trade) -> None:
    organiser, seller = await trade.buyer(), await trade.seller()
    until = trade.world.today() + timedelta(days=12)
    pool = (await trade.pool(organiser, quote_until=until)).name
    await trade.join(organiser, pool)
    await trade.lock(organiser, pool)
    await trade.quote(seller, pool, await trade.machines(seller, 1))
    with refused("QUOTING_OPEN"):
        await trade.award(organiser, pool)
    await trade.world.advance_to(until + timedelta(days=1))
    with refused("QUOTING_CLOSED"):
        late = await trade.seller()
        await trade.quote(late, pool, await trade.machines(late, 1))
    assert (await trade.award(organiser, pool)).state == pools_pb2.POOL_STATE_ORDERED


async def test_a_pool_whose_quotes_have_all_lapsed_fails(trade: Trade) -> None:
    organiser, seller = await trade.buyer(), await trade.seller()
    until = trade.world.today() + timedelta(days=12)
    pool = (await trade.pool(organiser, quote_until=until)).name
    await trade.join(organiser, pool)
    await trade.lock(organiser, pool)
    quote = await trade.quote(seller, pool, await trade.machines(seller, 1), valid_days=14)
    await trade.world.advance_to(until + timedelta(days=2))
    request = pools_pb2.GetPoolRequest(name=pool)
    assert (await pools(organiser).GetPool(request)).state == pools_pb2.POOL_STATE_QUOTED
    await trade.world.advance_days(1)
    failed = await pools(organiser).GetPool(request)
    assert failed.state == pools_pb2.POOL_STATE_FAILED
    assert failed.failure == pools_pb2.POOL_FAILURE_NO_VALID_QUOTE
    lost = await pools(seller).GetQuote(pools_pb2.GetQuoteRequest(name=quote.name))
    assert lost.state == pools_pb2.QUOTE_STATE_LOST


async def test_a_withdrawn_quote_does_not_win_and_makes_room_for_another(trade: Trade) -> None:
    (organiser,), pool = await locked_pool(trade, 1)
    seller = await trade.seller()
    machines = await trade.machines(seller, 1)
    first = await trade.quote(seller, pool, machines, unit_fen=100)
    with refused("QUOTE_EXISTS"):
        await trade.quote(seller, pool, machines, unit_fen=90)
    with refused("NOT_FOUND"):
        await pools(await trade.seller()).WithdrawQuote(
            pools_pb2.WithdrawQuoteRequest(request_id=request_id(), name=first.name)
        )
    await pools(seller).WithdrawQuote(
        pools_pb2.WithdrawQuoteRequest(request_id=request_id(), name=first.name, etag=first.etag)
    )
    with refused("NO_VALID_QUOTE"):
        await trade.award(organiser, pool)
    second = await trade.quote(seller, pool, machines, unit_fen=120)
    assert (await trade.award(organiser, pool)).awarded_quote == second.name
    with refused("TRANSITION_REFUSED"):
        await pools(seller).WithdrawQuote(
            pools_pb2.WithdrawQuoteRequest(request_id=request_id(), name=second.name)
        )


async def test_only_fitting_machines_of_the_seller_are_offered(trade: Trade) -> None:
    organiser, seller, other = await trade.buyer(), await trade.seller(), await trade.seller()
    pool = (
        await trade.pool(
            organiser,
            make="sany",
            equipment_class="HYDRAULIC_EXCAVATOR",
            build_year_min=2020,
        )
    ).name
    await trade.join(organiser, pool)
    await trade.lock(organiser, pool)
    for machine, why in (
        (await trade.machine(other), "is not yours"),
        (await trade.machine(seller, make="XCMG"), 'is of make "XCMG"'),
        (await trade.machine(seller, build_year=2019), "was built in 2019"),
    ):
        with refused("MACHINE_NOT_OFFERABLE") as refusal:
            await trade.quote(seller, pool, [machine])
        assert why in refusal.status.message
    held = (await trade.order(await trade.buyer(), seller)).lines[0].machine
    with refused("MACHINE_IN_ORDER"):
        await trade.quote(seller, pool, [held])
    with refused("NOT_FOUND"):
        await trade.quote(seller, pool, ["machines/00000000-0000-7000-8000-000000000000"])
    assert (await trade.quote(seller, pool, [await trade.machine(seller)])).state == OFFERED


async def test_organiser_and_members_do_not_sell_to_their_own_pool(trade: Trade) -> None:
    both = await trade.world.party("BUYER", "SELLER")
    pool = (await trade.pool(both)).name
    await trade.join(await trade.buyer(), pool)
    await trade.lock(both, pool)
    with refused("OWN_POOL"):
        await trade.quote(both, pool, await trade.machines(both, 1))


async def test_only_the_organiser_awards(trade: Trade) -> None:
    (_, member), pool = await locked_pool(trade, 1, 1)
    seller = await trade.seller()
    await trade.quote(seller, pool, await trade.machines(seller, 2))
    with refused("NOT_THE_ORGANISER"):
        await trade.award(member, pool)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tiers": ((5, "0.03"), (4, "0.06"))}, "tiers[1]"),
        ({"tiers": ((5, "0.95"),)}, "tiers[0].discount_rate"),
        ({"unit_fen": 1, "tiers": ((1, "0.9"),)}, "tiers[0].discount_rate"),
        ({"unit_fen": 0}, "unit_price"),
        ({"unit_fen": 10**11 + 1}, "unit_price"),
        ({"valid_days": -1}, "valid_until"),
        ({"machines": 1}, "machines"),
    ],
)
async def test_a_quote_beyond_its_limits_is_refused_by_field(
    trade: Trade, changes: dict[str, object], field: str
) -> None:
    _, pool = await locked_pool(trade, 2)
    seller = await trade.seller()
    count = int(str(changes.pop("machines", 2)))
    with refused("INVALID_FIELD") as refusal:
        await trade.quote(seller, pool, await trade.machines(seller, count), **changes)  # type: ignore[arg-type]
    assert refusal.status.message.startswith(field)


async def test_a_date_that_is_none_is_refused(trade: Trade) -> None:
    with refused("INVALID_FIELD"):
        await pools(await trade.buyer()).CreatePool(
            pools_pb2.CreatePoolRequest(
                request_id=request_id(),
                specification=pools_pb2.MachineSpecification(make="SANY"),
                region="Hunan",
                minimum_quantity=1,
                target_quantity=1,
                join_until=date_pb2.Date(year=2026, month=2, day=30),
            )
        )
