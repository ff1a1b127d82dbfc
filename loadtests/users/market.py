"""Buyers who storm one hot listing (S2): orders and offers, as long as there are no auctions."""

import contextlib
import random
from typing import Any

from ironloop.marketplace.v1 import listings_pb2, offers_pb2
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
