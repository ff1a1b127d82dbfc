"""The contract of auctions: protobuf to arguments and back, nothing else."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from ironloop.marketplace.v1 import auctions_pb2, auctions_pb2_grpc, offers_pb2

from services.kit import wire
from services.kit.connection import Connection
from services.kit.errors import InvalidArgument, NotFound
from services.kit.ids import parse_name
from services.kit.principals import principal
from services.kit.request_batches import RequestBatches
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.marketplace import (
    auction_handlers,
    auction_store,
    bid_store,
    deposit_handlers,
    deposit_store,
    win_sagas,
)
from services.marketplace.auction_model import Auction, bid_seen_by, check_amount
from services.marketplace.auction_wire import (
    auction_to_wire,
    bid_to_wire,
    deposit_rule_from_wire,
    deposit_to_wire,
    outcome_of,
    policy_to_wire,
    state_filter,
    steps_from_wire,
)
from services.marketplace.bid_handlers import Offered


class AuctionRpc(auctions_pb2_grpc.AuctionServiceServicer):
    """Serves ironloop.marketplace.v1.AuctionService."""

    def __init__(self, runtime: Runtime, bids: RequestBatches[Offered]) -> None:
        self._database = runtime.database
        self._commands = runtime.commands
        self._pages = runtime.pages
        self._bids = bids

    async def CreateAuction(
        self, request: auctions_pb2.CreateAuctionRequest, context: Any
    ) -> auctions_pb2.Auction:
        """Schedule an auction."""

        async def work(tx: Transaction) -> auctions_pb2.Auction:
            has_open_time = request.HasField("open_time")
            auction = await auction_handlers.create_auction(
                tx,
                parse_name(request.listing, "listings", field="listing"),
                open_time=wire.to_instant(request.open_time, field="open_time")
                if has_open_time
                else None,
                close_time=wire.to_instant(request.close_time, field="close_time"),
                reserve_fen=wire.fen(request.reserve, field="reserve", positive=True)
                if request.HasField("reserve")
                else None,
                deposit=deposit_rule_from_wire(request.deposit)
                if request.HasField("deposit")
                else 0,
                viewer=principal(),
            )
            return await _seen_one(tx.connection, auction)

        return await self._commands.run(request, work)

    async def GetAuction(
        self, request: auctions_pb2.GetAuctionRequest, context: Any
    ) -> auctions_pb2.Auction:
        """Return what the caller sees of an auction."""
        auction_id = parse_name(request.name, "auctions")
        async with self._database.read() as connection:
            auction = await auction_handlers.get_auction(connection, auction_id)
            return await _seen_one(connection, auction)

    async def ListAuctions(
        self, request: auctions_pb2.ListAuctionsRequest, context: Any
    ) -> auctions_pb2.ListAuctionsResponse:
        """List auctions."""
        page = self._pages.open(request)
        (after,) = page.after or (None,)
        state, limit = state_filter(request.state), page.limit + 1
        async with self._database.read() as connection:
            if request.listing:
                listing_id = parse_name(request.listing, "listings", field="listing")
                rows = await auction_store.list_of_listing(
                    connection, listing_id, state=state, after=after, limit=limit
                )
            else:
                rows = await auction_store.list_auctions(
                    connection, state=state, after=after, limit=limit
                )
            kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.id,))
            auctions = await _seen(connection, kept)
        return auctions_pb2.ListAuctionsResponse(auctions=auctions, next_page_token=token)

    async def CancelAuction(
        self, request: auctions_pb2.CancelAuctionRequest, context: Any
    ) -> auctions_pb2.Auction:
        """Give up an auction."""

        async def work(tx: Transaction) -> auctions_pb2.Auction:
            auction_id = parse_name(request.name, "auctions")
            auction = await auction_handlers.cancel_auction(
                tx, auction_id, etag=request.etag, viewer=principal()
            )
            return await _seen_one(tx.connection, auction)

        return await self._commands.run(request, work)

    async def PlaceDeposit(
        self, request: auctions_pb2.PlaceDepositRequest, context: Any
    ) -> auctions_pb2.BidDeposit:
        """Hold a bidder's deposit."""
        auction_id = parse_name(request.auction, "auctions", field="auction")
        deposit: auctions_pb2.BidDeposit = await self._commands.run_saga(
            request,
            lambda tx: deposit_handlers.begin_placing(tx, auction_id, viewer=principal()),
        )
        return deposit

    async def ListDeposits(
        self, request: auctions_pb2.ListDepositsRequest, context: Any
    ) -> auctions_pb2.ListDepositsResponse:
        """List the deposits of an auction that the caller may see."""
        auction_id = parse_name(request.auction, "auctions", field="auction")
        page = self._pages.open(request)
        (after,) = page.after or (None,)
        async with self._database.read() as connection:
            auction = await auction_handlers.get_auction(connection, auction_id)
            rows = await deposit_store.list_deposits(
                connection, auction, viewer=principal(), after=after, limit=page.limit + 1
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.id,))
        return auctions_pb2.ListDepositsResponse(
            deposits=[deposit_to_wire(deposit) for deposit in kept], next_page_token=token
        )

    async def PlaceBid(self, request: offers_pb2.PlaceBidRequest, context: Any) -> offers_pb2.Bid:
        """Bid, together with the others that wait for the same auction."""
        auction_id = await self._lot_of(request)
        amount_fen = wire.fen(request.amount, field="amount", positive=True)
        check_amount(amount_fen)
        offered = Offered(principal().require_party(), amount_fen)
        bid: offers_pb2.Bid = await self._bids.run(request, auction_id, offered)
        return bid

    async def ListBids(
        self, request: auctions_pb2.ListBidsRequest, context: Any
    ) -> auctions_pb2.ListBidsResponse:
        """List the bids of an auction that the caller may see."""
        auction_id = parse_name(request.auction, "auctions", field="auction")
        viewer = principal()
        page = self._pages.open(request)
        (after,) = page.after or (0,)
        async with self._database.read() as connection:
            auction = await auction_handlers.get_auction(connection, auction_id)
            rows = await bid_store.list_bids(
                connection, auction, viewer=viewer, after=after, limit=page.limit + 1
            )
        kept, token = self._pages.cut(request, page, rows, key=lambda row: (row.sequence,))
        return auctions_pb2.ListBidsResponse(
            bids=[bid_to_wire(bid_seen_by(bid, auction, viewer), auction) for bid in kept],
            next_page_token=token,
        )

    async def SettleWin(
        self, request: auctions_pb2.SettleWinRequest, context: Any
    ) -> auctions_pb2.Auction:
        """End what a win holds."""
        auction_id = parse_name(request.auction, "auctions", field="auction")
        auction: auctions_pb2.Auction = await self._commands.run_saga(
            request,
            lambda tx: win_sagas.begin_settling(
                tx, auction_id, order=request.order, outcome=outcome_of(request.outcome)
            ),
        )
        return auction

    async def GetIncrementPolicy(
        self, request: auctions_pb2.GetIncrementPolicyRequest, context: Any
    ) -> auctions_pb2.IncrementPolicy:
        """Return a version of the table of increments."""
        version = request.version
        async with self._database.read() as connection:
            if not version:
                return policy_to_wire(await auction_store.policy_in_force(connection))
            found = await auction_store.get_policies(connection, [version])
        if version not in found:
            raise NotFound(f"version {version} of the table of increments")
        return policy_to_wire(found[version])

    async def PublishIncrementPolicy(
        self, request: auctions_pb2.PublishIncrementPolicyRequest, context: Any
    ) -> auctions_pb2.IncrementPolicy:
        """Put a new table of increments in force."""

        async def work(tx: Transaction) -> auctions_pb2.IncrementPolicy:
            return policy_to_wire(
                await auction_handlers.publish_policy(
                    tx, steps_from_wire(request.steps), publisher=principal().actor
                )
            )

        return await self._commands.run(request, work)

    async def _lot_of(self, request: offers_pb2.PlaceBidRequest) -> UUID:
        """Return the auction in which somebody bids.

        Raises:
            InvalidArgument: Neither an auction nor a listing is named, or both are.
            NotFound: The listing has none that is live.
        """
        # Checked here and not by a rule of the contract: those cost a tenth of a bid's time.
        if bool(request.auction) == bool(request.listing):
            raise InvalidArgument("auction", "or listing must be stated, and not both")
        if request.auction:
            return parse_name(request.auction, "auctions", field="auction")
        listing_id = parse_name(request.listing, "listings", field="listing")
        async with self._database.read() as connection:
            auction_id = await auction_store.find_live(connection, listing_id)
        if auction_id is None:
            raise NotFound(f"a live auction of {request.listing}")
        return auction_id


async def _seen_one(connection: Connection, auction: Auction) -> auctions_pb2.Auction:
    return (await _seen(connection, [auction]))[0]


async def _seen(connection: Connection, rows: Sequence[Auction]) -> list[auctions_pb2.Auction]:
    """Return auctions as the caller sees them."""
    viewer = principal()
    policies = await auction_store.get_policies(
        connection, list({auction.policy_version for auction in rows})
    )
    return [
        auction_to_wire(
            auction,
            policies[auction.policy_version],
            is_whole=auction.is_whole_to(viewer),
            party=viewer.party,
        )
        for auction in rows
    ]
