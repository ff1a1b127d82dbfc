"""The contract of sales, as the order's service asks: protobuf to arguments and back."""

from typing import Any

from ironloop.marketplace.v1 import listings_pb2

from services.kit.ids import parse_name
from services.kit.requests import Commands
from services.kit.transaction import Transaction
from services.marketplace import order_handlers
from services.marketplace.listing_views import whole


class SaleRpc:
    """The part of ListingService that sells."""

    _commands: Commands

    async def ReserveListing(
        self, request: listings_pb2.ReserveListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Hold a listing for an order."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing_id = parse_name(request.name, "listings")
            return await whole(
                tx,
                await order_handlers.reserve_listing(
                    tx, listing_id, order=request.order, buyer=request.buyer
                ),
            )

        return await self._commands.run(request, work)

    async def ReleaseListing(
        self, request: listings_pb2.ReleaseListingRequest, context: Any
    ) -> listings_pb2.Listing:
        """Publish a listing again."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing_id = parse_name(request.name, "listings")
            return await whole(
                tx, await order_handlers.release_listing(tx, listing_id, order=request.order)
            )

        return await self._commands.run(request, work)

    async def CompleteListingSale(
        self, request: listings_pb2.CompleteListingSaleRequest, context: Any
    ) -> listings_pb2.Listing:
        """Mark a listing as sold."""

        async def work(tx: Transaction) -> listings_pb2.Listing:
            listing_id = parse_name(request.name, "listings")
            return await whole(
                tx, await order_handlers.complete_sale(tx, listing_id, order=request.order)
            )

        return await self._commands.run(request, work)
