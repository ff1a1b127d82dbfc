"""The state machines of machines, liens, listings, offers and consents (domain.md, section 3.2)."""

from ironloop.marketplace.v1 import marketplace_events_pb2 as events

from services.kit.lifecycle import Lifecycle, Transition
from services.marketplace.consent_model import ConsentState
from services.marketplace.listing_model import ListingState
from services.marketplace.machine_model import Custody, LienState, MachineLifecycle
from services.marketplace.offer_model import OfferState

_NO_LIENS = "no lien is active"
_SAME_HOLD = "the reference is the reservation's"
_SAME_LEASE = "the reference is the lease's"

MACHINE = Lifecycle(
    "machine",
    [
        Transition(
            MachineLifecycle.REGISTERED,
            "deliver",
            MachineLifecycle.IN_SERVICE,
            event=events.CustodyChanged,
            guard="the first custodian other than who registered it",
        ),
        Transition(
            MachineLifecycle.IN_SERVICE,
            "start_remanufacture",
            MachineLifecycle.IN_REMAN,
            event=events.MachineLifecycleChanged,
        ),
        Transition(
            MachineLifecycle.IN_REMAN,
            "finish_remanufacture",
            MachineLifecycle.IN_SERVICE,
            event=events.MachineLifecycleChanged,
        ),
        *(
            Transition(
                source,
                "scrap",
                MachineLifecycle.SCRAPPED,
                event=events.MachineLifecycleChanged,
                guard=_NO_LIENS,
            )
            for source in (
                MachineLifecycle.REGISTERED,
                MachineLifecycle.IN_SERVICE,
                MachineLifecycle.IN_REMAN,
            )
        ),
    ],
)


def hand_over_command(custody: Custody) -> str:
    """Return the command that hands a machine over into a custody."""
    return f"hand_over_{custody.value.lower()}"


def _hand_over(source: Custody, target: Custody, guard: str = "") -> Transition[Custody]:
    return Transition(
        source, hand_over_command(target), target, event=events.CustodyChanged, guard=guard
    )


CUSTODY = Lifecycle(
    "machine's custody",
    [
        Transition(
            Custody.AVAILABLE,
            "reserve",
            Custody.RESERVED,
            event=events.CustodyChanged,
            guard="an expiry, or a reserved listing",
        ),
        Transition(
            Custody.RESERVED,
            "release",
            Custody.AVAILABLE,
            event=events.CustodyChanged,
            guard=_SAME_HOLD,
        ),
        Transition(
            Custody.RESERVED,
            "expire",
            Custody.AVAILABLE,
            event=events.CustodyChanged,
            guard="the expiry has passed",
        ),
        _hand_over(Custody.RESERVED, Custody.RESERVED, _SAME_HOLD),
        _hand_over(Custody.RESERVED, Custody.AVAILABLE, _SAME_HOLD),
        _hand_over(Custody.RESERVED, Custody.ON_LEASE, _SAME_HOLD),
        _hand_over(Custody.AVAILABLE, Custody.AVAILABLE),
        _hand_over(Custody.AVAILABLE, Custody.IN_SHOP),
        _hand_over(Custody.IN_SHOP, Custody.AVAILABLE, "out on a lease: " + _SAME_LEASE),
        _hand_over(Custody.ON_LEASE, Custody.IN_SHOP),
        _hand_over(Custody.IN_SHOP, Custody.ON_LEASE, "the reference is the lease's or the shop's"),
        _hand_over(Custody.ON_LEASE, Custody.IN_TRANSIT, _SAME_LEASE),
        _hand_over(Custody.IN_TRANSIT, Custody.AVAILABLE, _SAME_LEASE),
        _hand_over(Custody.ON_LEASE, Custody.AVAILABLE, _SAME_LEASE),
    ],
)

LIEN = Lifecycle(
    "lien",
    [Transition(LienState.ACTIVE, "release", LienState.RELEASED, event=events.LienReleased)],
)

LISTING = Lifecycle(
    "listing",
    [
        Transition(ListingState.DRAFT, "update", ListingState.DRAFT),
        Transition(
            ListingState.DRAFT,
            "submit",
            ListingState.SUBMITTED,
            event=events.ListingSubmitted,
            guard="PIN or serial, hours, a photo, a title proof, lien disclosure",
        ),
        Transition(
            ListingState.SUBMITTED, "reject", ListingState.DRAFT, event=events.ListingRejected
        ),
        Transition(
            ListingState.SUBMITTED,
            "inspect",
            ListingState.INSPECTED,
            event=events.ListingInspected,
            guard="by another party, at most 90 days ago, a condition of five grades",
        ),
        Transition(
            ListingState.INSPECTED,
            "inspect",
            ListingState.INSPECTED,
            event=events.ListingInspected,
            guard="as before",
        ),
        Transition(ListingState.INSPECTED, "reprice", ListingState.INSPECTED),
        Transition(
            ListingState.INSPECTED,
            "publish",
            ListingState.PUBLISHED,
            event=events.ListingPublished,
            guard="report at most 90 days old, valuation issued, ask within 0.5 to 1.5 x FMV or a "
            "reason; the machine is available and has no other listing on offer",
        ),
        Transition(
            ListingState.PUBLISHED,
            "reprice",
            ListingState.PUBLISHED,
            event=events.ListingRepriced,
            guard="ask within 0.5 to 1.5 x FMV or a reason",
        ),
        Transition(
            ListingState.PUBLISHED,
            "take_offer",
            ListingState.PUBLISHED,
            event=events.ListingOfferMade,
            guard="format OFFER",
        ),
        Transition(
            ListingState.PUBLISHED,
            "auction",
            ListingState.PUBLISHED,
            event=events.AuctionOpened,
            guard="format TIMED_AUCTION, and no other auction of it is live",
        ),
        Transition(
            ListingState.PUBLISHED,
            "reserve",
            ListingState.RESERVED,
            event=events.ListingReserved,
            guard="the machine is available; by offer: the buyer's offer is accepted; by auction: "
            "the buyer has won it",
        ),
        Transition(
            ListingState.PUBLISHED,
            "withdraw",
            ListingState.WITHDRAWN,
            event=events.ListingWithdrawn,
            guard="no offer is accepted",
        ),
        Transition(
            ListingState.PUBLISHED,
            "expire",
            ListingState.EXPIRED,
            event=events.ListingExpired,
            guard="90 days after publication",
        ),
        Transition(
            ListingState.RESERVED,
            "release",
            ListingState.PUBLISHED,
            event=events.ListingReleased,
            guard="the order is cancelled",
        ),
        Transition(
            ListingState.RESERVED,
            "complete_sale",
            ListingState.SOLD,
            event=events.ListingSold,
            guard="the title is the buyer's",
        ),
    ],
)

OFFER = Lifecycle(
    "offer",
    [
        Transition(
            OfferState.OPEN,
            "accept",
            OfferState.ACCEPTED,
            event=events.ListingOfferAccepted,
            guard="no other offer for the listing is accepted",
        ),
        Transition(OfferState.OPEN, "reject", OfferState.REJECTED, event=events.ListingOfferClosed),
        Transition(
            OfferState.OPEN, "withdraw", OfferState.WITHDRAWN, event=events.ListingOfferClosed
        ),
        Transition(OfferState.OPEN, "expire", OfferState.EXPIRED, event=events.ListingOfferClosed),
        Transition(
            OfferState.OPEN, "end_listing", OfferState.REJECTED, event=events.ListingOfferClosed
        ),
        Transition(
            OfferState.ACCEPTED, "expire", OfferState.EXPIRED, event=events.ListingOfferClosed
        ),
        Transition(
            OfferState.ACCEPTED,
            "end_listing",
            OfferState.REJECTED,
            event=events.ListingOfferClosed,
        ),
        Transition(OfferState.ACCEPTED, "order", OfferState.ORDERED, event=events.ListingReserved),
        Transition(
            OfferState.ORDERED, "cancel_order", OfferState.EXPIRED, event=events.ListingReleased
        ),
    ],
)

CONSENT = Lifecycle(
    "consent",
    [Transition(ConsentState.ACTIVE, "revoke", ConsentState.REVOKED, event=events.ConsentRevoked)],
)
