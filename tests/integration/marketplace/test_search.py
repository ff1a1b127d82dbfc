"""Search over 50,000 listings: what it finds, in which order, and through which index."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from google.type import decimal_pb2
from ironloop.marketplace.v1 import listings_pb2, machines_pb2

from infra.local.client import Actor
from services.kit import wire
from services.marketplace.listing_model import ListingOrder
from services.marketplace.search_store import Search, statement
from services.marketplace.search_words import query_terms
from tests.integration.marketplace.market import Valuer, listings
from tests.support import servers
from tests.support.refusals import refused
from tests.support.world import World

ROWS = 50_000
MAKES = ("CAT", "KOMATSU", "SANY", "XCMG", "ZOOMLION", "VOLVO", "DEERE", "HITACHI")
CLASSES = (
    "HYDRAULIC_EXCAVATOR",
    "TRACK_TYPE_TRACTOR",
    "BACKHOE_LOADER",
    "WHEEL_LOADER",
    "SKID_STEER_LOADER",
    "MOTOR_GRADER",
)
REGIONS = ("Hunan", "Sichuan", "Guangdong", "Zhejiang", "Henan", "Hubei", "Anhui", "Jilin")

SEED = """
insert into machine (id, id_scheme, check_status, serial_number, make, model, equipment_class,
    title_holder, title_since, lifecycle, custody, custodian, create_time, update_time)
select gen_random_uuid(), 'OEM_LEGACY', 'UNCHECKED', 'S' || n, 'SEED', '', 'OTHER', $1,
    t, 'REGISTERED', 'AVAILABLE', $1, t, t
from generate_series(1, $2::int) n, (select now() as t) as clock
"""
SEED_LISTINGS = """
insert into listing (id, state, machine_id, seller, format, ask_fen, price_override_reason,
    region, description, photos, title_proofs, make, model, equipment_class, build_year,
    hours_meter, search_terms, publish_time, expire_time, create_time, update_time)
select gen_random_uuid(), case when n % 5 = 0 then 'WITHDRAWN' else 'PUBLISHED' end, id, $1,
    case when n / 3 % 4 = 0 then 'OFFER' else 'FIXED' end,
    10000000 + (n * 7919 % 50000) * 1000, '', ($2::text[])[1 + n / 5 % 8], 'seed', '[]', '[]',
    ($3::text[])[1 + n / 8 % 8], 'M' || n / 64 % 300, ($4::text[])[1 + n / 7 % 6],
    1995 + n * 31 % 30, n * 104729 % 1500000 / 100.0,
    array['seed', lower(($2::text[])[1 + n / 5 % 8]), 'w' || n / 11 % 300],
    t + n * interval '1 second', t + interval '90 days', t, t
from (select id, row_number() over () as n from machine where make = 'SEED') as seeded,
    (select now() as t) as clock
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def market_of_50_000(world: World, valuer: Valuer) -> AsyncIterator[None]:
    """Fill the market with listings that nobody drafted."""
    owner = "parties/00000000-0000-7000-8000-000000000001"
    database = world.databases["marketplace"]
    connection = await asyncpg.connect(servers.postgres_dsn(), database=database)
    await connection.execute(SEED, owner, ROWS)
    await connection.execute(SEED_LISTINGS, owner, list(REGIONS), list(MAKES), list(CLASSES))
    await connection.execute("analyze listing")
    await connection.close()
    yield


@pytest.mark.parametrize("order", list(ListingOrder))
@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"equipment_class": "WHEEL_LOADER"},
        {"make": "sany"},
        {"make": "sany", "model_prefix": "m1"},
        {"model_prefix": "M27"},
        {"region": "hunan"},
        {"equipment_class": "WHEEL_LOADER", "build_year_min": 2010, "build_year_max": 2015},
        {"ask_fen_min": 10_000_000, "ask_fen_max": 11_000_000},
        {"hours_max": 300},
        {"terms": query_terms("seed w77")},
        {"equipment_class": "MOTOR_GRADER", "format": "OFFER", "hours_max": 4000},
    ],
    ids=lambda filters: ",".join(filters) or "none",
)
async def test_no_search_reads_the_whole_table(
    world: World, order: ListingOrder, filters: dict[str, Any]
) -> None:
    sql, arguments = statement(Search(order=order, **filters), after=None, limit=51)
    database = world.running["marketplace"].runtime.database
    async with database.read() as connection:
        plan = await connection.fetch(f"explain {sql}", *arguments)
    lines = "\n".join(line[0] for line in plan)
    assert "Seq Scan" not in lines, lines
    if not filters or set(filters) == {"equipment_class"}:
        assert "Sort" not in lines, lines


async def test_pages_follow_one_another_without_gap_or_repeat(buyer: Actor) -> None:
    for order, key in (
        (listings_pb2.LISTING_ORDER_NEWEST, lambda one: -one.publish_time.ToNanoseconds()),
        (listings_pb2.LISTING_ORDER_PRICE_LOWEST, lambda one: one.ask.units),
        (listings_pb2.LISTING_ORDER_PRICE_HIGHEST, lambda one: -one.ask.units),
        (
            listings_pb2.LISTING_ORDER_HOURS_FEWEST,
            lambda one: float(one.listed_machine.hours_meter.value),
        ),
        (listings_pb2.LISTING_ORDER_YEAR_YOUNGEST, lambda one: -one.listed_machine.build_year),
    ):
        found = await all_pages(buyer, order=order, region="hunan", make="CAT", page_size=170)
        assert len(found) > 170
        assert len({listing.name for listing in found}) == len(found)
        assert [key(listing) for listing in found] == sorted(key(listing) for listing in found)
        assert all(listing.state == listings_pb2.LISTING_STATE_PUBLISHED for listing in found)


async def test_every_filter_narrows(buyer: Actor) -> None:
    found = await search(
        buyer,
        equipment_class=machines_pb2.EQUIPMENT_CLASS_WHEEL_LOADER,
        build_year_min=2005,
        build_year_max=2012,
        hours_min=decimal_pb2.Decimal(value="1000"),
        hours_max=decimal_pb2.Decimal(value="9000"),
        ask_min=wire.money(12_000_000),
        ask_max=wire.money(40_000_000),
        format=listings_pb2.LISTING_FORMAT_OFFER,
        page_size=200,
    )
    assert found.listings
    for listing in found.listings:
        machine = listing.listed_machine
        assert machine.equipment_class == machines_pb2.EQUIPMENT_CLASS_WHEEL_LOADER
        assert 2005 <= machine.build_year <= 2012
        assert 1000 <= float(machine.hours_meter.value) <= 9000
        assert 120_000 <= listing.ask.units <= 400_000
        assert listing.format == listings_pb2.LISTING_FORMAT_OFFER


async def test_a_page_token_fits_its_search_only(buyer: Actor) -> None:
    first = await search(buyer, make="CAT", page_size=5)
    with refused("INVALID_PAGE_TOKEN"):
        await search(buyer, make="SANY", page_size=5, page_token=first.next_page_token)
    with refused("INVALID_PAGE_TOKEN"):
        await search(buyer, make="CAT", page_token="bm90aGluZw==")


async def test_signs_in_a_model_prefix_are_no_wildcards(buyer: Actor) -> None:
    assert (await search(buyer, model_prefix="m1")).listings
    for text in ("%", "_1", "M\\"):
        assert not (await search(buyer, model_prefix=text)).listings


async def test_a_text_finds_listings_that_hold_every_word(buyer: Actor) -> None:
    found = await search(buyer, text="Seed W78 hunan", page_size=200)
    assert found.listings
    assert all(listing.region == "Hunan" for listing in found.listings)
    assert not (await search(buyer, text="seed nowhere")).listings


async def search(actor: Actor, **filters: Any) -> listings_pb2.SearchListingsResponse:
    return await listings(actor).SearchListings(listings_pb2.SearchListingsRequest(**filters))


async def all_pages(actor: Actor, **filters: Any) -> list[listings_pb2.Listing]:
    found: list[listings_pb2.Listing] = []
    token = ""
    while True:
        page = await search(actor, page_token=token, **filters)
        found += page.listings
        token = page.next_page_token
        if not token:
            return found
