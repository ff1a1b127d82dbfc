"""Offers that buyers make for a listing."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.kit.ids import name

OFFER_GOOD_FOR = timedelta(days=7)
OFFER_GOOD_FOR_MAX = timedelta(days=30)
ACCEPTED_OFFER_HOLDS = timedelta(days=3)  # long enough to place an order, short for the seller


class OfferState(StrEnum):
    """Where an offer stands."""

    OPEN = "OPEN"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"
    EXPIRED = "EXPIRED"
    ORDERED = "ORDERED"


@dataclass(frozen=True, slots=True)
class Offer:
    """A buyer's offer for a listing."""

    id: UUID
    version: int
    listing_id: UUID
    buyer: str
    amount_fen: int
    state: OfferState
    expire_time: datetime
    listing_sequence: int
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "offers/<uuid>"."""
        return name("offers", self.id)
