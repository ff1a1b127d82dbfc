"""Listings from draft to sale on a real database."""

from datetime import timedelta

import pytest
from ironloop.marketplace.v1 import inspections_pb2, listings_pb2, machines_pb2

from infra.local.client import Actor
from services.kit import wire
from tests.integration.marketplace.listing_calls import (
    get_listing,
    get_machine,
    queue,
    reprice,
    withdraw,
)
from tests.integration.marketplace.market import (
    WORTH_FEN,
    content,
    document,
    drafted,
    inspect,
    inspected,
    listings,
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


async def test_every_aggregate_counts_its_events_from_1_without_gaps(world: World) -> None:
    async with world.running["marketplace"].runtime.database.read() as connection:
        rows = await connection.fetch(
            """
            select key, array_agg((headers->>'ce_sequence')::int order by seq) as sequences
            from outbox group by key
            """
        )
    assert len(rows) > 20  # of the tests before
    for row in rows:
        assert row["sequences"] == list(range(1, len(row["sequences"]) + 1)), row["key"]
