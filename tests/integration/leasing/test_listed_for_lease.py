"""A machine offered for lease: found by search, quoted, and off the market once it is delivered."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from ironloop.leasing.v1 import leasing_pb2 as pb
from ironloop.leasing.v1 import programmes_pb2
from ironloop.marketplace.v1 import listings_pb2

from services.kit import wire
from services.kit.ids import name, new_id
from tests.integration.leasing.fleet import Fleet, programmes, request_id
from tests.integration.marketplace import market
from tests.support.refusals import refused
from tests.support.world import World

LEASE = listings_pb2.LISTING_FORMAT_LEASE


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def valuer(leasing_world: World) -> AsyncIterator[None]:
    """Have every machine valued at 400,000.00."""
    _, server = await market.open_valuer(leasing_world)
    yield
    await server.stop(0)


async def inspected(fleet: Fleet, **content: Any) -> listings_pb2.Listing:
    """Bring a listing for lease of a new machine as far as its inspection."""
    stated: dict[str, Any] = {"format": LEASE, "lease_programme": fleet.programme} | content
    technician = await fleet.world.party("TECHNICIAN")
    return await market.inspected(
        fleet.lessor, technician, await fleet.look_up(await fleet.machine()), **stated
    )


async def see(fleet: Fleet, listing: listings_pb2.Listing) -> listings_pb2.Listing:
    request = listings_pb2.GetListingRequest(name=listing.name)
    return await market.listings(fleet.lessor).GetListing(request)


async def retire(fleet: Fleet, programme: str) -> None:
    await programmes(fleet.lessor).RetireLeaseProgramme(
        programmes_pb2.RetireLeaseProgrammeRequest(request_id=request_id(), name=programme)
    )


async def test_a_lessee_finds_it_leases_it_and_it_is_off_the_market(fleet: Fleet) -> None:
    listed = await market.publish(fleet.lessor, await inspected(fleet))
    search = listings_pb2.SearchListingsRequest(format=LEASE, make="SANY")
    found = (await market.listings(fleet.lessee).SearchListings(search)).listings
    (offered,) = [one for one in found if one.name == listed.name]
    lease = await fleet.active(
        offered.machine,
        programme=offered.lease_programme,
        financed_amount=offered.ask,
        residual=wire.money(16_000_000),
    )
    assert lease.state == pb.LEASE_STATE_ACTIVE
    assert (await see(fleet, listed)).state == listings_pb2.LISTING_STATE_WITHDRAWN


async def test_it_takes_no_order_and_no_offer(fleet: Fleet) -> None:
    listed = await market.publish(fleet.lessor, await inspected(fleet))
    buyer = await fleet.world.party("BUYER")
    with refused("LISTED_FOR_LEASE"):
        await market.reserve(fleet.world, listed, order=market.order_name(), buyer=buyer)
    with refused("FORMAT_TAKES_NO_OFFERS"):
        await market.offer(buyer, listed, amount_fen=market.WORTH_FEN)
    assert (await see(fleet, listed)).state == listings_pb2.LISTING_STATE_PUBLISHED


@pytest.mark.parametrize("whose", ["another's", "nobody's", "retired"])
async def test_it_names_an_open_programme_of_its_lessor(fleet: Fleet, whose: str) -> None:
    programme = {
        "another's": (await Fleet.open(fleet.world)).programme,
        "nobody's": name("leaseProgrammes", new_id()),
        "retired": fleet.programme,
    }[whose]
    if whose == "retired":
        await retire(fleet, programme)
    listing = await inspected(fleet, lease_programme=programme)
    with refused("LEASE_PROGRAMME_NOT_OPEN"):
        await market.publish(fleet.lessor, listing)
    assert (await see(fleet, listing)).state == listings_pb2.LISTING_STATE_INSPECTED


@pytest.mark.parametrize("form", [LEASE, listings_pb2.LISTING_FORMAT_FIXED])
async def test_a_programme_goes_with_a_lease_and_with_nothing_else(
    fleet: Fleet, form: "listings_pb2.ListingFormat.ValueType"
) -> None:
    programme = "" if form == LEASE else fleet.programme
    machine = await fleet.look_up(await fleet.machine())
    with refused("INVALID_FIELD") as refusal:
        await market.drafted(fleet.lessor, machine, format=form, lease_programme=programme)
    assert "lease_programme" in refusal.status.message
    answer = await market.listings(fleet.lessor).ImportListings(
        listings_pb2.ImportListingsRequest(
            rows=[
                listings_pb2.ListingRow(
                    reference=f"S-{form}",
                    machine=machine.name,
                    format=form,
                    ask_fen=market.WORTH_FEN,
                    region="Hunan",
                    lease_programme=programme,
                )
            ]
        )
    )
    assert answer.reports[0].refusals[0].field == "lease_programme"


async def test_a_reprice_keeps_the_programme_and_an_update_may_sell_instead(fleet: Fleet) -> None:
    listed = await market.publish(fleet.lessor, await inspected(fleet))
    repriced = await market.listings(fleet.lessor).RepriceListing(
        listings_pb2.RepriceListingRequest(
            request_id=request_id(), name=listed.name, ask=wire.money(market.WORTH_FEN + 1)
        )
    )
    assert repriced.lease_programme == fleet.programme
    machine = await fleet.look_up(await fleet.machine())
    draft = await market.drafted(
        fleet.lessor, machine, format=LEASE, lease_programme=fleet.programme
    )
    sold = await market.listings(fleet.lessor).UpdateListing(
        listings_pb2.UpdateListingRequest(
            request_id=request_id(), name=draft.name, content=market.content()
        )
    )
    assert (sold.format, sold.lease_programme) == (listings_pb2.LISTING_FORMAT_FIXED, "")
