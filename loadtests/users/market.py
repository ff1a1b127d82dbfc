"""Buyers who storm hot listings (S2): they order one, bid for one, and make offers for one."""

import contextlib
import random
from typing import Any

from ironloop.marketplace.v1 import auctions_pb2, listings_pb2, offers_pb2
from ironloop.procurement.v1 import orders_pb2

from loadtests.grpc_user import GrpcUser, Refused
from services.kit import wire

ADDRESS = orders_pb2.DeliveryAddress(
    recipient="A buyer of the load",
    street="1 Yuelu Avenue",
    city="Changsha",
    region="Hunan",
    postal_code="410000",
    country_code="CN",
)


class Orders(GrpcUser):
    """Orders the hot machine; the one who wins pays into escrow, cancels, and is paid back."""

    def on_start(self) -> None:
        """Become one of the buyers."""
        super().on_start()
        buyers: list[str] = self.plan.facts["buyers"]
        self._token = buyers[self.number % len(buyers)]
        self._seller: str = self.plan.facts["seller"]
        self._listing: str = self.plan.facts["hot_listing"]
        service = "OrderService"
        self._create = self.rpc("procurement", f"{service}/CreateOrder", orders_pb2.Order)
        self._confirm = self.rpc("procurement", f"{service}/ConfirmOrder", orders_pb2.Order)
        self._fund = self.rpc("procurement", f"{service}/FundOrder", orders_pb2.Order)
        self._cancel = self.rpc("procurement", f"{service}/CancelOrder", orders_pb2.Order)

    def operation(self, _: Any, /) -> None:
        """Try to order; nearly all are too late, which is the answer that is asked for."""
        try:
            order = self.command(
                self._create,
                orders_pb2.CreateOrderRequest(listings=[self._listing], delivery_address=ADDRESS),
                token=self._token,
                subject=self._listing,
                effect=lambda answer: answer.name,
            )
        except Refused as refusal:
            if "TRANSITION_REFUSED" in refusal.reason or "MACHINE_NOT_" in refusal.reason:
                return
            raise
        for rpc, request, token in (
            (self._confirm, orders_pb2.ConfirmOrderRequest(name=order.name), self._seller),
            (self._fund, orders_pb2.FundOrderRequest(name=order.name), self._token),
            (self._cancel, orders_pb2.CancelOrderRequest(name=order.name), self._token),
        ):
            self.command(
                rpc,
                request,
                token=token,
                subject=order.name,
                effect=lambda answer: [answer.name, answer.state],
            )


class Bids(GrpcUser):
    """Bids for the hot lot, each time the least that it knows of; every fourth is sent twice."""

    def on_start(self) -> None:
        """Become one of the bidders, whose deposits are held."""
        super().on_start()
        buyers: list[str] = self.plan.facts["buyers"]
        self._token = buyers[self.number % len(buyers)]
        self._auction: str = self.plan.facts["hot_auction"]
        self._least_fen: int = self.plan.facts["least_bid_fen"]
        self._sent = 0
        self._bid = self.rpc("marketplace", "AuctionService/PlaceBid", offers_pb2.Bid)
        self._get = self.rpc("marketplace", "AuctionService/GetAuction", auctions_pb2.Auction)

    def operation(self, _: Any, /) -> None:
        """Bid; who is too low learns the least amount, and who leads looks for it."""
        amount_fen = self._least_fen
        self._sent += 1
        try:
            self.command(
                self._bid,
                offers_pb2.PlaceBidRequest(auction=self._auction, amount=wire.money(amount_fen)),
                token=self._token,
                subject=self._auction,
                effect=lambda bid: [bid.sequence, amount_fen, self.number],
                refusal_effect=lambda refusal: [
                    int(refusal.facts.get("sequence", "0")),
                    amount_fen,
                    self.number,
                ],
                copies=2 if self._sent % 4 == 0 else 1,
            )
        except Refused as refusal:
            if "BID_TOO_LOW" not in refusal.reason:
                raise
            self._least_fen = int(refusal.facts["minimum_fen"])
            return
        request = auctions_pb2.GetAuctionRequest(name=self._auction)
        seen = self.call(self._get, request, token=self._token)
        self._least_fen = wire.fen(seen.minimum_bid, field="minimum_bid")


class Offers(GrpcUser):
    """Offers for another hot listing and withdraws; one offer a buyer may be open."""

    def on_start(self) -> None:
        """Become one of the buyers."""
        super().on_start()
        buyers: list[str] = self.plan.facts["buyers"]
        self._token = buyers[self.number % len(buyers)]
        self._listing: str = self.plan.facts["offer_listing"]
        service = "ListingService"
        self._make = self.rpc("marketplace", f"{service}/MakeOffer", offers_pb2.Offer)
        self._withdraw = self.rpc("marketplace", f"{service}/WithdrawOffer", offers_pb2.Offer)
        self._search = self.rpc(
            "marketplace", f"{service}/SearchListings", listings_pb2.SearchListingsResponse
        )

    def operation(self, _: Any, /) -> None:
        """Search, offer, withdraw."""
        self.call(self._search, listings_pb2.SearchListingsRequest(), token=self._token)
        amount = wire.money(random.randint(10, 90) * 100_000)
        with contextlib.suppress(Refused):  # another user of this buyer has one open
            offer = self.command(
                self._make,
                offers_pb2.MakeOfferRequest(listing=self._listing, amount=amount),
                token=self._token,
                subject=self._listing,
                effect=lambda answer: answer.name,
            )
            self.command(
                self._withdraw,
                offers_pb2.WithdrawOfferRequest(name=offer.name),
                token=self._token,
                subject=offer.name,
                effect=lambda answer: answer.name,
            )
