"""Price guides from the real model, over a real broker."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest_asyncio
from google.type import decimal_pb2
from ironloop.marketplace.v1 import listings_pb2
from ironloop.valuation.v1 import valuation_pb2, valuation_pb2_grpc

from infra.local.client import Actor
from services.kit import wire
from services.maintenance.definition import DEFINITION as MAINTENANCE
from services.marketplace.definition import DEFINITION as MARKETPLACE
from services.valuation.definition import DEFINITION as VALUATION
from tests.integration.marketplace.market import (
    YUAN,
    inspected,
    listings,
    publish,
    published,
    register_lien,
    registered,
    rid,
)
from tests.support.refusals import refused
from tests.support.world import World


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def market(kafka_world: World) -> AsyncIterator[World]:
    """Return a world in which machines are valued by the shipped model."""
    await kafka_world.start(VALUATION, MARKETPLACE, MAINTENANCE)
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


async def test_no_valuation_that_others_or_the_seller_ask_for_changes_the_guide(
    market: World,
) -> None:
    seller, technician = await market.party("SELLER"), await market.party("TECHNICIAN")
    funder = await market.party("FUNDER")
    listing = await published(seller, technician, price_override_reason="first of its kind")
    await register_lien(market, listing.machine, funder)  # else it may not value the machine
    for actor, hours in ((funder, "9000"), (seller, "3261")):
        await value(actor, listing.machine, hours=hours)
    await market.until_at_rest()
    assert (await guide_of(seller, listing)).valuation == listing.price_guide.valuation


async def test_a_value_in_review_guides_once_it_is_approved_and_until_it_is_revoked(
    market: World,
) -> None:
    seller, technician = await market.party("SELLER"), await market.party("TECHNICIAN")
    validator = valuations(await market.party("MODEL_VALIDATOR"))
    dear = await registered(
        seller, make="Ironworks", model="Giant", replacement_cost=wire.money(30_000_000 * YUAN)
    )
    waiting = await inspected(
        seller, technician, dear, price_override_reason="first", ask=wire.money(1_000_000 * YUAN)
    )
    with refused("VALUATION_NOT_ISSUED"):
        await publish(seller, waiting)
    guide = await guide_of(seller, waiting)
    assert not guide.is_issued
    await validator.ApproveValuation(
        valuation_pb2.ApproveValuationRequest(
            request_id=rid(), name=guide.valuation, reason="seen by an appraiser"
        )
    )
    await market.until_at_rest()
    assert (await guide_of(seller, waiting)).is_issued
    listing = await publish(seller, waiting)
    assert listing.price_guide.valuation == guide.valuation
    await validator.RevokeValuation(
        valuation_pb2.RevokeValuationRequest(
            request_id=rid(), name=guide.valuation, reason="the appraiser was another one's"
        )
    )
    await market.until_at_rest()
    assert not (await guide_of(seller, listing)).is_issued


async def test_a_guide_is_renewed_while_the_listing_is_on_offer(market: World) -> None:
    seller, technician = await market.party("SELLER"), await market.party("TECHNICIAN")
    listing = await published(seller, technician, price_override_reason="first of its kind")
    await market.advance_to(market.today() + timedelta(days=31))
    renewed = await guide_of(seller, listing)
    assert renewed.valuation != listing.price_guide.valuation
    first_as_of = wire.to_date(listing.price_guide.as_of, field="as_of")
    assert wire.to_date(renewed.as_of, field="as_of") >= first_as_of + timedelta(days=30)


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
