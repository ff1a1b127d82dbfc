"""The states of orders, pools, quotes and memberships (domain page §3.2)."""

from ironloop.procurement.v1 import procurement_events_pb2 as events

from services.kit.lifecycle import Lifecycle, Transition
from services.procurement.order_model import OrderState
from services.procurement.pool_model import MembershipState, PoolState, QuoteState

ORDER = Lifecycle(
    "order",
    [
        Transition(OrderState.CREATED, "confirm", OrderState.CONFIRMED, events.OrderConfirmed),
        Transition(
            OrderState.CONFIRMED,
            "fund",
            OrderState.FUNDED,
            events.OrderFunded,
            "the escrow holds the total",
        ),
        Transition(OrderState.FUNDED, "dispatch", OrderState.DISPATCHED, events.OrderDispatched),
        Transition(OrderState.DISPATCHED, "deliver", OrderState.DELIVERED, events.OrderDelivered),
        Transition(OrderState.DELIVERED, "accept", OrderState.ACCEPTED, events.OrderAccepted),
        Transition(
            OrderState.DELIVERED,
            "accept_automatically",
            OrderState.ACCEPTED,
            events.OrderAccepted,
            "the acceptance window has closed",
        ),
        Transition(
            OrderState.DELIVERED,
            "dispute",
            OrderState.DISPUTED,
            events.OrderDisputed,
            "within the acceptance window",
        ),
        Transition(
            OrderState.DISPUTED,
            "grant_allowance",
            OrderState.ACCEPTED,
            events.OrderAccepted,
            "no side decides for the other",
        ),
        Transition(
            OrderState.DISPUTED,
            "take_back",
            OrderState.RETURNED,
            events.OrderReturned,
            "the escrow is refunded",
        ),
        Transition(OrderState.CREATED, "cancel", OrderState.CANCELLED, events.OrderCancelled),
        Transition(OrderState.CONFIRMED, "cancel", OrderState.CANCELLED, events.OrderCancelled),
        Transition(
            OrderState.FUNDED,
            "cancel",
            OrderState.CANCELLED,
            events.OrderCancelled,
            "the escrow is refunded",
        ),
        Transition(
            OrderState.CONFIRMED,
            "expire",
            OrderState.CANCELLED,
            events.OrderCancelled,
            "unpaid for the policy's days",
        ),
        Transition(
            OrderState.ACCEPTED,
            "settle",
            OrderState.SETTLED,
            events.OrderSettled,
            "the escrow is paid out and the titles are the buyer's",
        ),
        Transition(
            OrderState.ACCEPTED,
            "block",
            OrderState.SETTLEMENT_BLOCKED,
            events.OrderSettlementBlocked,
            "settlement was refused; the money stays in escrow",
        ),
        Transition(OrderState.SETTLEMENT_BLOCKED, "retry_settlement", OrderState.ACCEPTED),
    ],
)

POOL = Lifecycle(
    "pool",
    [
        Transition(PoolState.OPEN, "join", PoolState.OPEN),
        Transition(PoolState.OPEN, "leave", PoolState.OPEN),
        Transition(
            PoolState.OPEN,
            "lock",
            PoolState.LOCKED,
            events.DemandPoolLocked,
            "the target is reached, or the deadline has passed with the minimum",
        ),
        Transition(
            PoolState.OPEN,
            "fail",
            PoolState.FAILED,
            events.DemandPoolFailed,
            "below the minimum at the deadline",
        ),
        Transition(PoolState.LOCKED, "quote", PoolState.QUOTED, guard="quoting is not closed"),
        Transition(PoolState.QUOTED, "quote", PoolState.QUOTED, guard="quoting is not closed"),
        Transition(
            PoolState.LOCKED,
            "fail",
            PoolState.FAILED,
            events.DemandPoolFailed,
            "no quote by the end of quoting",
        ),
        Transition(
            PoolState.QUOTED,
            "fail",
            PoolState.FAILED,
            events.DemandPoolFailed,
            "every quote has lapsed",
        ),
        Transition(
            PoolState.QUOTED,
            "award",
            PoolState.AWARDED,
            events.DemandPoolAwarded,
            "quoting is over and a quote is valid; its machines are reserved",
        ),
        Transition(PoolState.AWARDED, "order", PoolState.ORDERED, events.DemandPoolOrdered),
    ],
)

QUOTE = Lifecycle(
    "quote",
    [
        Transition(QuoteState.OFFERED, "withdraw", QuoteState.WITHDRAWN),
        Transition(QuoteState.OFFERED, "award", QuoteState.AWARDED),
        Transition(QuoteState.OFFERED, "lose", QuoteState.LOST),
        Transition(QuoteState.OFFERED, "lapse", QuoteState.LAPSED),
    ],
)

MEMBERSHIP = Lifecycle(
    "membership",
    [
        Transition(MembershipState.LEFT, "join", MembershipState.JOINED),
        Transition(MembershipState.JOINED, "leave", MembershipState.LEFT),
    ],
)
