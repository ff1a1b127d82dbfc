"""Who bids in an auction, and its end at once."""

from datetime import timedelta

from ironloop.marketplace.v1 import auctions_pb2
from ironloop.settlement.v1 import settlement_pb2

from infra.local.client import Actor
from services.kit import wire
from tests.integration.marketplace.lots import (
    close_in,
    until_state,
)
from tests.integration.marketplace.market import (
    YUAN,
)
from tests.support.money import fund, ledger, wallet_of
from tests.support.world import World

AT_ONCE = timedelta(milliseconds=1)


async def available(world: World, party: str) -> int:
    """Return what a party's wallet has free, in yuan."""
    account = await ledger(world).GetAccount(
        settlement_pb2.GetAccountRequest(name=f"accounts/{await wallet_of(world, party)}")
    )
    return wire.fen(account.available, field="available") // YUAN


async def bidders(world: World, count: int, *, yuan: int = 0) -> list[Actor]:
    """Return bidders, with money where stated."""
    made = [await world.party("BUYER") for _ in range(count)]
    for one in made if yuan else []:
        await fund(world, one.party, yuan * YUAN)
    return made


async def closed(
    world: World, seller: Actor, auction: str, state: "auctions_pb2.AuctionState.ValueType"
) -> auctions_pb2.Auction:
    """Have an auction closed now."""
    await close_in(world, auction, AT_ONCE)
    return await until_state(seller, auction, state)
