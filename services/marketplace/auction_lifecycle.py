"""The state machines of auctions and of their deposits (domain.md, section 3.2)."""

from ironloop.marketplace.v1 import marketplace_events_pb2 as events

from services.kit.lifecycle import Lifecycle, Transition
from services.marketplace.auction_model import AuctionState
from services.marketplace.deposit_model import DepositState

_A_BID = "at least the highest bid and the increment; the deposit is held; not the seller's"
_LATE = _A_BID + "; in the last 120 seconds, which adds 120 seconds"

AUCTION = Lifecycle(
    "auction",
    [
        Transition(
            AuctionState.SCHEDULED,
            "open",
            AuctionState.OPEN,
            event=events.AuctionOpened,
            guard="its time has come, its listing is published and its machine available",
        ),
        Transition(
            AuctionState.SCHEDULED,
            "cancel",
            AuctionState.CANCELLED,
            event=events.AuctionCancelled,
            guard="by the seller, with its listing, or where it cannot open",
        ),
        Transition(
            AuctionState.OPEN, "bid", AuctionState.OPEN, event=events.BidPlaced, guard=_A_BID
        ),
        Transition(
            AuctionState.OPEN,
            "extend",
            AuctionState.EXTENDED,
            event=events.AuctionExtended,
            guard=_LATE,
        ),
        Transition(
            AuctionState.EXTENDED,
            "bid",
            AuctionState.EXTENDED,
            event=events.BidPlaced,
            guard=_A_BID,
        ),
        Transition(
            AuctionState.EXTENDED,
            "extend",
            AuctionState.EXTENDED,
            event=events.AuctionExtended,
            guard=_LATE,
        ),
        *(
            transition
            for source in (AuctionState.OPEN, AuctionState.EXTENDED)
            for transition in (
                Transition(
                    source,
                    "close_sold",
                    AuctionState.CLOSED_SOLD,
                    event=events.AuctionClosed,
                    guard="the highest bid reaches the reserve",
                ),
                Transition(
                    source,
                    "close_unsold",
                    AuctionState.CLOSED_UNSOLD,
                    event=events.AuctionClosed,
                    guard="nobody bid, or the highest bid is below the reserve",
                ),
            )
        ),
    ],
)

BID_DEPOSIT = Lifecycle(
    "bid deposit",
    [
        Transition(
            DepositState.HELD,
            "release",
            DepositState.RELEASED,
            event=events.BidDepositReleased,
            guard="the auction has ended, and the bidder's order, if it won, is funded or void",
        ),
        Transition(
            DepositState.HELD,
            "forfeit",
            DepositState.FORFEITED,
            event=events.BidDepositForfeited,
            guard="the bidder won and did not pay",
        ),
    ],
)
