"""Offers by buyers, and consents of sellers, on a real database."""

from datetime import timedelta

from ironloop.marketplace.v1 import (
    consents_pb2,
    listings_pb2,
    marketplace_events_pb2,
    offers_pb2,
)

from infra.local.client import Actor
from services.kit import wire
from tests.integration.marketplace.market import (
    WORTH_FEN,
    listings,
    offer,
    order_name,
    published,
    reserve,
    rid,
    sell,
)
from tests.support.refusals import refused
from tests.support.world import World

BY_OFFER = listings_pb2.LISTING_FORMAT_OFFER
LABEL = consents_pb2.CONSENT_PURPOSE_SALE_PRICE_LABEL


async def test_the_accepted_offer_is_what_its_buyer_pays(
    world: World, seller: Actor, buyer: Actor, technician: Actor
) -> None:
    listing = await published(seller, technician, format=BY_OFFER)
    other = await world.party("BUYER")
    low = await offer(other, listing, amount_fen=WORTH_FEN * 8 // 10)
    good = await offer(buyer, listing, amount_fen=WORTH_FEN * 9 // 10)
    with refused("OFFER_NOT_ACCEPTED"):
        await reserve(world, listing, order=order_name(), buyer=buyer)
    accepted = await accept(seller, good.name)
    assert accepted.state == offers_pb2.OFFER_STATE_ACCEPTED
    assert accepted.expire_time.ToDatetime() - accepted.update_time.ToDatetime() == timedelta(3)
    with refused("OFFER_ACCEPTED"):
        await accept(seller, low.name)
    with refused("OFFER_ACCEPTED"):
        await listings(seller).WithdrawListing(
            listings_pb2.WithdrawListingRequest(request_id=rid(), name=listing.name)
        )
    with refused("OFFER_NOT_ACCEPTED"):
        await reserve(world, listing, order=order_name(), buyer=other)
    order = order_name()
    held = await reserve(world, listing, order=order, buyer=buyer)
    assert held.agreed_price == wire.money(WORTH_FEN * 9 // 10)
    assert (await get(buyer, good.name)).state == offers_pb2.OFFER_STATE_ORDERED
    await sell(world, listing, order=order, buyer=buyer)
    assert (await get(other, low.name)).state == offers_pb2.OFFER_STATE_REJECTED


async def test_an_offer_is_seen_by_its_buyer_and_the_seller_only(
    world: World, seller: Actor, buyer: Actor, technician: Actor
) -> None:
    listing = await published(seller, technician, format=BY_OFFER)
    other = await world.party("BUYER")
    made = await offer(buyer, listing, amount_fen=WORTH_FEN)
    rival = await offer(other, listing, amount_fen=WORTH_FEN + 100)
    with refused("NOT_FOUND"):
        await get(other, made.name)
    with refused("NOT_FOUND"):
        await accept(await world.party("SELLER"), made.name)
    request = offers_pb2.ListOffersRequest(listing=listing.name)
    got = await listings(seller).ListOffers(request)
    assert [one.name for one in got.offers] == [rival.name, made.name]
    assert [one.name for one in (await listings(other).ListOffers(request)).offers] == [rival.name]
    mine = await listings(buyer).ListOffers(offers_pb2.ListOffersRequest())
    assert made.name in {one.name for one in mine.offers}


async def test_an_offer_binds_once_and_is_taken_back_or_refused(
    seller: Actor, buyer: Actor, technician: Actor
) -> None:
    listing = await published(seller, technician, format=BY_OFFER)
    made = await offer(buyer, listing, amount_fen=WORTH_FEN)
    with refused("OFFER_OPEN"):
        await offer(buyer, listing, amount_fen=WORTH_FEN + 1)
    back = await listings(buyer).WithdrawOffer(
        offers_pb2.WithdrawOfferRequest(request_id=rid(), name=made.name, etag=made.etag)
    )
    assert back.state == offers_pb2.OFFER_STATE_WITHDRAWN
    with refused("TRANSITION_REFUSED"):
        await accept(seller, made.name)
    second = await offer(buyer, listing, amount_fen=WORTH_FEN)
    gone = await listings(seller).RejectOffer(
        offers_pb2.RejectOfferRequest(request_id=rid(), name=second.name)
    )
    assert gone.state == offers_pb2.OFFER_STATE_REJECTED


async def test_offers_need_a_listing_by_offer_of_somebody_else(
    world: World, seller: Actor, buyer: Actor, technician: Actor
) -> None:
    fixed = await published(seller, technician)
    with refused("FORMAT_TAKES_NO_OFFERS"):
        await offer(buyer, fixed, amount_fen=WORTH_FEN)
    both = await world.party("SELLER", "BUYER")
    own = await published(both, technician, format=BY_OFFER)
    with refused("BUYER_IS_SELLER"):
        await offer(both, own, amount_fen=WORTH_FEN)
    late = world.running["marketplace"].runtime.clock.now() + timedelta(days=31)
    with refused("INVALID_FIELD"):
        await listings(buyer).MakeOffer(
            offers_pb2.MakeOfferRequest(
                request_id=rid(),
                listing=own.name,
                amount=wire.money(WORTH_FEN),
                expire_time=wire.instant(late),
            )
        )


async def test_an_offer_ends_with_its_listing_and_with_its_order(
    world: World, seller: Actor, buyer: Actor, technician: Actor
) -> None:
    listing = await published(seller, technician, format=BY_OFFER)
    made = await offer(buyer, listing, amount_fen=WORTH_FEN)
    await listings(seller).WithdrawListing(
        listings_pb2.WithdrawListingRequest(request_id=rid(), name=listing.name)
    )
    assert (await get(buyer, made.name)).state == offers_pb2.OFFER_STATE_REJECTED

    ordered = await published(seller, technician, format=BY_OFFER)
    second = await offer(buyer, ordered, amount_fen=WORTH_FEN)
    await accept(seller, second.name)
    order = order_name()
    await reserve(world, ordered, order=order, buyer=buyer)
    await listings(world.service("procurement")).ReleaseListing(
        listings_pb2.ReleaseListingRequest(request_id=rid(), name=ordered.name, order=order)
    )
    assert (await get(buyer, second.name)).state == offers_pb2.OFFER_STATE_EXPIRED


async def test_offers_run_out_by_themselves(
    world: World, seller: Actor, buyer: Actor, technician: Actor
) -> None:
    listing = await published(seller, technician, format=BY_OFFER)
    other = await world.party("BUYER")
    made = await offer(buyer, listing, amount_fen=WORTH_FEN)
    taken = await offer(other, listing, amount_fen=WORTH_FEN)
    await accept(seller, taken.name)
    await world.advance_to(world.today() + timedelta(days=4))
    assert (await get(other, taken.name)).state == offers_pb2.OFFER_STATE_EXPIRED
    assert (await get(buyer, made.name)).state == offers_pb2.OFFER_STATE_OPEN
    await world.advance_to(world.today() + timedelta(days=4))
    assert (await get(buyer, made.name)).state == offers_pb2.OFFER_STATE_EXPIRED


async def test_a_consent_is_given_to_the_text_in_force_and_taken_back(world: World) -> None:
    seller = await world.party("SELLER")
    service = listings(seller)
    text = await service.GetConsentText(consents_pb2.GetConsentTextRequest(purpose=LABEL))
    with refused("CONSENT_TEXT_MISMATCH"):
        await service.GrantConsent(
            consents_pb2.GrantConsentRequest(
                request_id=rid(), purpose=LABEL, text_version=1, text_sha256="0" * 64
            )
        )
    first = await grant(seller, text)
    assert await grant(seller, text) == first
    asked = consents_pb2.GetConsentRequest(party=seller.party, purpose=LABEL)
    assert await service.GetConsent(asked) == first
    assert await listings(world.service("valuation")).GetConsent(asked) == first
    with refused("NOT_FOUND"):
        await listings(await world.party("BUYER")).GetConsent(asked)
    revoke = consents_pb2.RevokeConsentRequest(request_id=rid(), purpose=LABEL)
    revoked = await service.RevokeConsent(revoke)
    assert (revoked.state, revoked.event_sequence) == (consents_pb2.CONSENT_STATE_REVOKED, 2)
    with refused("TRANSITION_REFUSED"):
        await service.RevokeConsent(
            consents_pb2.RevokeConsentRequest(request_id=rid(), purpose=LABEL)
        )
    assert (await grant(seller, text)).name != first.name


async def test_a_sale_says_whether_its_price_may_be_a_label(
    world: World, buyer: Actor, technician: Actor
) -> None:
    seller = await world.party("SELLER")
    told = []
    for consents in (False, True):
        if consents:
            text = await listings(seller).GetConsentText(
                consents_pb2.GetConsentTextRequest(purpose=LABEL)
            )
            await grant(seller, text)
        listing = await published(seller, technician)
        order = order_name()
        await reserve(world, listing, order=order, buyer=buyer)
        await sell(world, listing, order=order, buyer=buyer)
        told.append(await sold_event(world, listing.name))
    assert [event.may_be_label for event in told] == [False, True]
    assert told[1].consent.startswith("consents/")
    assert told[1].price == wire.money(WORTH_FEN)


async def accept(seller: Actor, name: str) -> offers_pb2.Offer:
    return await listings(seller).AcceptOffer(
        offers_pb2.AcceptOfferRequest(request_id=rid(), name=name)
    )


async def get(actor: Actor, name: str) -> offers_pb2.Offer:
    return await listings(actor).GetOffer(offers_pb2.GetOfferRequest(name=name))


async def grant(seller: Actor, text: consents_pb2.ConsentText) -> consents_pb2.Consent:
    return await listings(seller).GrantConsent(
        consents_pb2.GrantConsentRequest(
            request_id=rid(),
            purpose=LABEL,
            text_version=text.version,
            text_sha256=text.sha256,
        )
    )


async def sold_event(world: World, listing: str) -> marketplace_events_pb2.ListingSold:
    database = world.running["marketplace"].runtime.database
    async with database.read() as connection:
        payload = await connection.fetchval(
            "select payload from outbox where key = $1 and headers->>'ce_type' = $2",
            listing,
            marketplace_events_pb2.ListingSold.DESCRIPTOR.full_name,
        )
    return marketplace_events_pb2.ListingSold.FromString(payload)
