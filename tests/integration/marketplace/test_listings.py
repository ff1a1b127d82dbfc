"""Listings from draft to sale on a real database."""

import asyncio
from datetime import timedelta

import pytest
from ironloop.marketplace.v1 import inspections_pb2, listings_pb2, machines_pb2, offers_pb2
from ironloop.valuation.v1 import valuation_pb2

from infra.local.client import Actor
from services.kit import wire
from services.kit.clock import BusinessClock
from tests.integration.marketplace.market import (
    WORTH_FEN,
    Valuer,
    content,
    document,
    drafted,
    inspect,
    inspected,
    listings,
    machines,
    order_name,
    publish,
    published,
    register_lien,
    registered,
    reserve,
    rid,
    sell,
    submitted,
)
from tests.support.refusals import refused
from tests.support.world import World

State = listings_pb2.ListingState


async def test_a_listing_goes_from_draft_to_sale(
    world: World, seller: Actor, buyer: Actor, technician: Actor
) -> None:
    machine = await registered(seller)
    draft = await drafted(seller, machine)
    assert (draft.state, draft.event_sequence) == (State.LISTING_STATE_DRAFT, 0)
    waiting = await listings(seller).SubmitListing(
        listings_pb2.SubmitListingRequest(request_id=rid(), name=draft.name, etag=draft.etag)
    )
    assert waiting.state == State.LISTING_STATE_SUBMITTED
    inspection = await inspect(technician, waiting, hours="3301.5")
    assert (await get_machine(seller, machine.name)).hours_meter.value == "3301.50"
    on_offer = await publish(seller, waiting)
    assert on_offer.state == State.LISTING_STATE_PUBLISHED
    assert on_offer.inspection == inspection
    assert on_offer.listed_machine.hours_meter.value == "3301.50"
    assert on_offer.expire_time.ToDatetime() - on_offer.publish_time.ToDatetime() == timedelta(90)

    order = order_name()
    held = await reserve(world, on_offer, order=order, buyer=buyer)
    assert held.state == State.LISTING_STATE_RESERVED
    assert held.agreed_price == on_offer.ask
    assert (await get_machine(seller, machine.name)).reservation.reference == order
    sold = await sell(world, held, order=order, buyer=buyer)
    assert sold.state == State.LISTING_STATE_SOLD
    assert sold.event_sequence == 5
    owned = await get_machine(buyer, machine.name)
    assert (owned.title_holder, owned.custody) == (buyer.party, machines_pb2.CUSTODY_AVAILABLE)
    assert (await get_listing(buyer, sold.name)).agreed_price == on_offer.ask


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


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"photos": []}, "photos"),
        ({"title_proofs": []}, "title_proofs"),
        ({"lien_disclosure": None}, "lien_disclosure"),
        ({"photos": [], "title_proofs": []}, "photos,title_proofs"),
    ],
)
async def test_an_incomplete_draft_is_not_submitted(
    seller: Actor, changes: dict[str, object], missing: str
) -> None:
    machine = await registered(seller)
    with refused("LISTING_INCOMPLETE") as refusal:
        await submitted(seller, machine, **changes)
    assert refusal.metadata["missing"] == missing


async def test_a_machine_of_unknown_hours_is_not_submitted(seller: Actor) -> None:
    machine = await registered(seller, hours_meter=None)
    with refused("LISTING_INCOMPLETE") as refusal:
        await submitted(seller, machine)
    assert refusal.metadata["missing"] == "hours_meter"


async def test_active_liens_must_be_disclosed(
    world: World, seller: Actor, technician: Actor
) -> None:
    machine = await registered(seller)
    funder = await world.party("FUNDER")
    waiting = await inspected(seller, technician, machine)
    lien = await register_lien(world, machine.name, funder)
    with refused("LIENS_UNDISCLOSED"):
        await publish(seller, waiting)
    with refused("LIENS_UNDISCLOSED"):
        await submitted(seller, machine)
    honest = listings_pb2.LienDisclosure(has_liens=True, statement=f"{lien.registry_no}")
    listing = await published(seller, technician, machine, lien_disclosure=honest)
    assert listing.state == State.LISTING_STATE_PUBLISHED


async def test_a_rejected_listing_returns_to_its_seller_with_the_reason(
    seller: Actor, technician: Actor
) -> None:
    listing = await submitted(seller, await registered(seller))
    reject = listings_pb2.RejectListingRequest(
        request_id=rid(), name=listing.name, rejection_reason="photo shows another machine"
    )
    await listings(technician).RejectListing(reject)
    draft = await get_listing(seller, listing.name)
    assert draft.state == State.LISTING_STATE_DRAFT
    assert draft.rejection_reason == "photo shows another machine"
    again = await listings(seller).SubmitListing(
        listings_pb2.SubmitListingRequest(request_id=rid(), name=listing.name)
    )
    assert again.rejection_reason == ""


async def test_a_draft_is_rewritten_and_a_submitted_listing_is_not(seller: Actor) -> None:
    draft = await drafted(seller, await registered(seller))
    update = listings_pb2.UpdateListingRequest(
        request_id=rid(), name=draft.name, etag=draft.etag, content=content(region="Sichuan")
    )
    changed = await listings(seller).UpdateListing(update)
    assert changed.region == "Sichuan"
    update.request_id = rid()
    with refused("ETAG_MISMATCH"):
        await listings(seller).UpdateListing(update)
    await listings(seller).SubmitListing(
        listings_pb2.SubmitListingRequest(request_id=rid(), name=draft.name)
    )
    update.request_id, update.etag = rid(), ""
    with refused("TRANSITION_REFUSED"):
        await listings(seller).UpdateListing(update)


async def test_an_inspection_needs_another_party_and_a_fresh_day(
    world: World, technician: Actor
) -> None:
    dealer = await world.party("SELLER", "TECHNICIAN")
    listing = await submitted(dealer, await registered(dealer))
    with refused("INSPECTOR_IS_SELLER"):
        await inspect(dealer, listing)
    today = world.today()
    for day in (today + timedelta(days=1), today - timedelta(days=91)):
        with refused("INVALID_FIELD"):
            await inspect(technician, listing, inspect_date=day)
    with refused("HOURS_BELOW_LAST"):
        await inspect(technician, listing, hours="3250")
    await inspect(technician, listing, inspect_date=today - timedelta(days=90))
    second = await inspect(technician, listing)  # an inspected one may be inspected again
    page = await listings(dealer).ListInspections(
        inspections_pb2.ListInspectionsRequest(listing=listing.name)
    )
    assert len(page.inspections) == 2
    assert page.inspections[0].name == second.name


async def test_technicians_find_what_waits_for_them(
    world: World, seller: Actor, technician: Actor, buyer: Actor
) -> None:
    listing = await submitted(seller, await registered(seller))
    found = await queue(technician)
    assert listing.name in found
    assert found[listing.name].title_proofs == []  # public fields only
    with refused("NOT_FOUND"):
        await get_listing(buyer, listing.name)
    with refused("NOT_FOUND"):
        await inspect(
            await world.party("TECHNICIAN"), await drafted(seller, await registered(seller))
        )
    await inspect(technician, listing)
    assert listing.name not in await queue(technician)


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


async def test_two_buyers_race_for_one_listing_and_one_wins(
    world: World, seller: Actor, technician: Actor
) -> None:
    listing = await published(seller, technician)
    buyers = [await world.party("BUYER") for _ in range(6)]
    outcomes = await asyncio.gather(
        *(reserve(world, listing, order=order_name(), buyer=buyer) for buyer in buyers),
        return_exceptions=True,
    )
    winners = [place for place, one in enumerate(outcomes) if not isinstance(one, BaseException)]
    assert len(winners) == 1
    held = await get_listing(seller, listing.name)
    assert held.buyer == buyers[winners[0]].party
    assert (await get_machine(seller, listing.machine)).reservation.party == held.buyer


async def test_a_cancelled_order_puts_the_listing_on_offer_again(
    world: World, seller: Actor, buyer: Actor, technician: Actor
) -> None:
    listing = await published(seller, technician)
    order = order_name()
    for _ in range(2):  # repeating it for the same order changes nothing
        held = await reserve(world, listing, order=order, buyer=buyer)
    assert held.event_sequence == 4
    with refused("NOT_FOUND"):
        await get_listing(await world.party("BUYER"), listing.name)
    with refused("TRANSITION_REFUSED"):
        await withdraw(seller, listing.name)
    untouched = await release(world, listing.name, order_name())
    assert untouched.state == State.LISTING_STATE_RESERVED
    for _ in range(2):
        freed = await release(world, listing.name, order)
        assert freed.state == State.LISTING_STATE_PUBLISHED
    assert (freed.order, freed.event_sequence) == ("", 5)
    free = await get_machine(seller, listing.machine)
    assert free.custody == machines_pb2.CUSTODY_AVAILABLE
    assert (await withdraw(seller, listing.name)).state == State.LISTING_STATE_WITHDRAWN


async def test_a_sale_is_complete_once_the_title_has_moved(
    world: World, seller: Actor, buyer: Actor, technician: Actor
) -> None:
    listing = await published(seller, technician)
    order = order_name()
    await reserve(world, listing, order=order, buyer=buyer)
    service = listings(world.service("procurement"))
    with refused("TITLE_NOT_MOVED"):
        await service.CompleteListingSale(
            listings_pb2.CompleteListingSaleRequest(
                request_id=rid(), name=listing.name, order=order
            )
        )
    with refused("HELD_BY_OTHER"):
        await service.CompleteListingSale(
            listings_pb2.CompleteListingSaleRequest(
                request_id=rid(), name=listing.name, order=order_name()
            )
        )
    sold = await sell(world, listing, order=order, buyer=buyer)
    assert await sell(world, listing, order=order, buyer=buyer) == sold
    with refused("TRANSITION_REFUSED"):
        await release(world, listing.name, order)


async def test_nobody_buys_of_oneself_or_a_machine_that_is_held(
    world: World, seller: Actor, buyer: Actor, technician: Actor
) -> None:
    listing = await published(seller, technician)
    with refused("BUYER_IS_SELLER"):
        await reserve(world, listing, order=order_name(), buyer=seller)
    expire_time = world.running["marketplace"].runtime.clock.now() + timedelta(days=2)
    await machines(world.service("leasing")).ReserveMachine(
        machines_pb2.ReserveMachineRequest(
            request_id=rid(),
            name=listing.machine,
            reference="leases/1",
            party=buyer.party,
            expire_time=wire.instant(expire_time),
        )
    )
    with refused("MACHINE_NOT_AVAILABLE"):
        await reserve(world, listing, order=order_name(), buyer=buyer)


async def test_others_see_the_public_fields_only(
    world: World, seller: Actor, buyer: Actor, technician: Actor
) -> None:
    listing = await published(
        seller, technician, price_override_reason="kept indoors", ask=wire.money(WORTH_FEN)
    )
    seen = await get_listing(buyer, listing.name)
    assert (seen.ask, seen.seller, len(seen.photos)) == (listing.ask, seller.party, 1)
    assert (list(seen.title_proofs), seen.price_override_reason, seen.order) == ([], "", "")
    own = await get_listing(seller, listing.name)
    assert len(own.title_proofs) == 1


async def test_a_listing_without_an_auction_takes_no_bids(
    seller: Actor, buyer: Actor, technician: Actor
) -> None:
    listing = await published(seller, technician)
    bid = offers_pb2.PlaceBidRequest(
        request_id=rid(), listing=listing.name, amount=wire.money(WORTH_FEN)
    )
    with refused("NOT_FOUND"):
        await listings(buyer).PlaceBid(bid)
    bid.listing = ""
    with refused("INVALID_FIELD"):
        await listings(buyer).PlaceBid(bid)


async def test_only_the_title_holder_lists_a_machine(
    world: World, seller: Actor, technician: Actor
) -> None:
    machine = await registered(seller)
    other = await world.party("SELLER")
    with refused("NOT_FOUND"):
        await drafted(other, machine)
    listing = await published(seller, technician, machine)
    with refused("NOT_TITLE_HOLDER"):
        await drafted(other, machine)
    with refused("NOT_FOUND"):
        await withdraw(other, listing.name)
    with refused("NOT_FOUND"):
        await reprice(other, listing.name, WORTH_FEN)


async def test_a_reference_names_one_listing_of_its_seller(seller: Actor) -> None:
    machine = await registered(seller)

    async def draft() -> listings_pb2.Listing:
        return await listings(seller).CreateListing(
            listings_pb2.CreateListingRequest(
                request_id=rid(), machine=machine.name, reference="STOCK-1", content=content()
            )
        )

    first = await draft()
    with refused("REFERENCE_TAKEN") as refusal:
        await draft()
    assert refusal.metadata["listing"] == first.name


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ask", wire.money(0)),
        ("ask", wire.money(100, currency="EUR")),
        ("region", ""),
        ("photos", [document()] * 41),
        ("format", 0),
        ("format", 9),
    ],
)
async def test_content_outside_its_limits_names_its_field(
    seller: Actor, field: str, value: object
) -> None:
    machine = await registered(seller)
    with refused("INVALID_FIELD") as refusal:
        await drafted(seller, machine, **{field: value})
    assert f"content.{field}" in refusal.status.message


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


async def test_every_aggregate_counts_its_events_from_1_without_gaps(world: World) -> None:
    async with world.running["marketplace"].runtime.database.read() as connection:
        rows = await connection.fetch(
            """
            select key, array_agg((headers->>'ce_sequence')::int order by seq) as sequences
            from outbox group by key
            """
        )
    assert len(rows) > 50
    for row in rows:
        assert row["sequences"] == list(range(1, len(row["sequences"]) + 1)), row["key"]


async def get_listing(actor: Actor, name: str) -> listings_pb2.Listing:
    return await listings(actor).GetListing(listings_pb2.GetListingRequest(name=name))


async def get_machine(actor: Actor, name: str) -> machines_pb2.Machine:
    return await machines(actor).GetMachine(machines_pb2.GetMachineRequest(name=name))


async def queue(technician: Actor) -> dict[str, listings_pb2.Listing]:
    page = await listings(technician).ListInspectionQueue(
        listings_pb2.ListInspectionQueueRequest(page_size=200)
    )
    return {listing.name: listing for listing in page.listings}


async def reprice(seller: Actor, listing: str, ask_fen: int) -> listings_pb2.Listing:
    return await listings(seller).RepriceListing(
        listings_pb2.RepriceListingRequest(request_id=rid(), name=listing, ask=wire.money(ask_fen))
    )


async def release(world: World, listing: str, order: str) -> listings_pb2.Listing:
    return await listings(world.service("procurement")).ReleaseListing(
        listings_pb2.ReleaseListingRequest(request_id=rid(), name=listing, order=order)
    )


async def withdraw(seller: Actor, listing: str) -> listings_pb2.Listing:
    return await listings(seller).WithdrawListing(
        listings_pb2.WithdrawListingRequest(request_id=rid(), name=listing)
    )
