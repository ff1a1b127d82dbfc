"""Price guides from the real model, over a real broker."""

from collections.abc import AsyncIterator

import pytest_asyncio
from google.type import decimal_pb2
from ironloop.marketplace.v1 import listings_pb2
from ironloop.valuation.v1 import valuation_pb2, valuation_pb2_grpc

from infra.local.client import Actor
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.valuation.definition import DEFINITION as VALUATION
from tests.integration.marketplace.market import (
    inspected,
    listings,
    publish,
    published,
    register_lien,
    registered,
    rid,
)
from tests.support.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def market(kafka_world: World) -> AsyncIterator[World]:
    """Return a world in which machines are valued by the shipped model."""
    await kafka_world.start(VALUATION, MARKETPLACE)
    yield kafka_world


async def test_a_listing_is_published_with_the_models_value(market: World) -> None:
    seller, technician = await market.party("SELLER"), await market.party("TECHNICIAN")
    waiting = await inspected(
        seller, technician, await registered(seller), price_override_reason="first of its kind"
    )
    listing = await publish(seller, waiting)
    guide = listing.price_guide
    assert listing.state == listings_pb2.LISTING_STATE_PUBLISHED
    assert guide.is_issued
    assert 0 < guide.fmv.q10.units < guide.fmv.q50.units < guide.fmv.q90.units
    valuation = await valuations(seller).GetValuation(
        valuation_pb2.GetValuationRequest(name=guide.valuation)
    )
    assert (valuation.party, valuation.machine) == (seller.party, listing.machine)
    assert valuation.fmv == guide.fmv


async def test_the_guide_follows_the_sellers_valuations_and_nobody_elses(market: World) -> None:
    seller, technician = await market.party("SELLER"), await market.party("TECHNICIAN")
    funder = await market.party("FUNDER")
    listing = await published(seller, technician, price_override_reason="first of its kind")
    await register_lien(market, listing.machine, funder)  # else it may not value the machine
    theirs = await value(funder, listing.machine, hours="9000")
    await market.until_at_rest()
    assert (await guide_of(seller, listing)).valuation != theirs.name
    own = await value(seller, listing.machine, hours="12000")
    await market.until_at_rest()
    shown = await guide_of(seller, listing)
    assert (shown.valuation, shown.fmv) == (own.name, own.fmv)
    await valuations(await market.party("MODEL_VALIDATOR")).RevokeValuation(
        valuation_pb2.RevokeValuationRequest(
            request_id=rid(), name=own.name, reason="the hours were a slip of the pen"
        )
    )
    await market.until_at_rest()
    assert not (await guide_of(seller, listing)).is_issued


async def test_every_event_of_a_market_reaches_the_broker(market: World) -> None:
    await market.until_at_rest()
    async with market.running["marketplace"].runtime.database.read() as connection:
        assert await connection.fetchval("select count(*) from outbox") == 0
        assert await connection.fetchval("select count(*) from parked_event") == 0


def valuations(actor: Actor) -> "valuation_pb2_grpc.ValuationServiceAsyncStub":
    return actor.stub(valuation_pb2_grpc.ValuationServiceStub)


async def value(actor: Actor, machine: str, *, hours: str) -> valuation_pb2.Valuation:
    return await valuations(actor).CreateValuation(
        valuation_pb2.CreateValuationRequest(
            request_id=rid(),
            machine=machine,
            overrides=valuation_pb2.Overrides(hours_meter=decimal_pb2.Decimal(value=hours)),
        )
    )


async def guide_of(actor: Actor, listing: listings_pb2.Listing) -> listings_pb2.PriceGuide:
    return await listings(actor).GetPriceGuide(
        listings_pb2.GetPriceGuideRequest(listing=listing.name)
    )
