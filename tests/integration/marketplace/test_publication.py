"""How a listing is priced by its guide and published, and how long it stays on offer."""

from datetime import timedelta

from ironloop.marketplace.v1 import listings_pb2
from ironloop.valuation.v1 import valuation_pb2

from infra.local.client import Actor
from services.kit import wire
from services.kit.clock import BusinessClock
from tests.integration.marketplace.listing_calls import get_listing, release, reprice
from tests.integration.marketplace.market import (
    WORTH_FEN,
    Valuer,
    inspected,
    listings,
    order_name,
    publish,
    published,
    registered,
    reserve,
    rid,
)
from tests.support.refusals import refused
from tests.support.world import World

State = listings_pb2.ListingState


async def test_the_price_guide_stands_next_to_the_listing(
    seller: Actor, buyer: Actor, technician: Actor, valuer: Valuer
) -> None:
    listing = await published(seller, technician, ask=wire.money(WORTH_FEN * 11 // 10))
    guide = await listings(buyer).GetPriceGuide(
        listings_pb2.GetPriceGuideRequest(listing=listing.name)
    )
    made = valuer.made[guide.valuation]
    assert (made.party, made.machine) == (seller.party, listing.machine)
    assert (guide.fmv, guide.grade, guide.is_issued) == (made.fmv, "B", True)
    assert guide.ask_ratio.value == "1.1000"
    assert (await get_listing(buyer, listing.name)).price_guide == guide


async def test_an_ask_far_from_the_value_needs_a_reason(
    seller: Actor, technician: Actor, valuer: Valuer
) -> None:
    for ask_fen, reason, outcome in (
        (WORTH_FEN // 2, "", ""),
        (WORTH_FEN // 2 - 1, "", "ASK_OUT_OF_RANGE"),
        (WORTH_FEN * 3 // 2, "", ""),
        (WORTH_FEN * 3 // 2 + 1, "", "ASK_OUT_OF_RANGE"),
        (WORTH_FEN * 3 // 2 + 1, "fitted with a new engine", ""),
    ):
        waiting = await inspected(
            seller,
            technician,
            await registered(seller),
            ask=wire.money(ask_fen),
            price_override_reason=reason,
        )
        if outcome:
            with refused(outcome) as refusal:
                await publish(seller, waiting)
            assert refusal.metadata["low_fen"] == str(WORTH_FEN // 2)
        else:
            assert (await publish(seller, waiting)).state == State.LISTING_STATE_PUBLISHED


async def test_a_refused_ask_leaves_its_guide_and_is_repriced(
    seller: Actor, technician: Actor, valuer: Valuer
) -> None:
    waiting = await inspected(
        seller, technician, await registered(seller), ask=wire.money(WORTH_FEN * 2)
    )
    with refused("ASK_OUT_OF_RANGE"):
        await publish(seller, waiting)
    shown = await get_listing(seller, waiting.name)
    assert shown.state == State.LISTING_STATE_INSPECTED
    assert shown.price_guide.ask_ratio.value == "2.0000"
    await reprice(seller, waiting.name, WORTH_FEN)
    made = len(valuer.made)
    on_offer = await publish(seller, waiting)
    assert on_offer.price_guide.valuation == shown.price_guide.valuation
    assert len(valuer.made) == made  # a value that is good is not asked for twice
    with refused("ASK_OUT_OF_RANGE"):
        await reprice(seller, waiting.name, WORTH_FEN * 2)
    assert (await reprice(seller, waiting.name, WORTH_FEN - 100)).event_sequence == 4


async def test_a_value_in_review_publishes_nothing_until_it_is_issued(
    seller: Actor, technician: Actor, valuer: Valuer
) -> None:
    waiting = await inspected(seller, technician, await registered(seller))
    valuer.state = valuation_pb2.VALUATION_STATE_IN_REVIEW
    try:
        for _ in range(2):
            with refused("VALUATION_NOT_ISSUED"):
                await publish(seller, waiting)
    finally:
        valuer.state = valuation_pb2.VALUATION_STATE_ISSUED
    shown = await get_listing(seller, waiting.name)
    assert not shown.price_guide.is_issued
    under_review = valuer.made[shown.price_guide.valuation]
    under_review.state = valuation_pb2.VALUATION_STATE_ISSUED
    on_offer = await publish(seller, waiting)
    assert on_offer.price_guide.valuation == under_review.name


async def test_what_valuation_refuses_is_the_sellers_answer(
    seller: Actor, technician: Actor, valuer: Valuer
) -> None:
    waiting = await inspected(seller, technician, await registered(seller))
    valuer.refuses = "no fact to value it by"
    try:
        with refused("FAILED_PRECONDITION"):
            await publish(seller, waiting)
    finally:
        valuer.refuses = ""
    assert (await publish(seller, waiting)).state == State.LISTING_STATE_PUBLISHED


async def test_a_retried_publication_answers_the_same(
    seller: Actor, technician: Actor, valuer: Valuer
) -> None:
    waiting = await inspected(seller, technician, await registered(seller))
    request = listings_pb2.PublishListingRequest(request_id=rid(), name=waiting.name)
    made = len(valuer.made)
    first = await listings(seller).PublishListing(request)
    assert await listings(seller).PublishListing(request) == first
    assert len(valuer.made) == made + 1
    with refused("TRANSITION_REFUSED"):
        await publish(seller, waiting)


async def test_a_machine_has_one_listing_on_offer(seller: Actor, technician: Actor) -> None:
    machine = await registered(seller)
    second = await inspected(seller, technician, machine)
    await published(seller, technician, machine)
    with refused("MACHINE_ALREADY_LISTED"):
        await publish(seller, second)


async def test_a_publication_runs_out_after_90_days_but_not_under_an_order(
    world: World, seller: Actor, buyer: Actor, technician: Actor
) -> None:
    listing = await published(seller, technician)
    ordered = await published(seller, technician)
    late = await inspected(seller, technician, await registered(seller))
    order = order_name()
    await reserve(world, ordered, order=order, buyer=buyer)
    await world.advance_to(world.today() + timedelta(days=89))
    assert (await get_listing(seller, listing.name)).state == State.LISTING_STATE_PUBLISHED
    await world.advance_days(1)
    assert (await get_listing(seller, listing.name)).state == State.LISTING_STATE_EXPIRED
    assert (await get_listing(seller, ordered.name)).state == State.LISTING_STATE_RESERVED
    await release(world, ordered.name, order)
    await world.until_at_rest()
    assert (await get_listing(seller, ordered.name)).state == State.LISTING_STATE_EXPIRED
    await world.advance_days(1)
    assert world.today() == BusinessClock().today() + timedelta(days=91)
    with refused("REPORT_TOO_OLD"):
        await publish(seller, late)
