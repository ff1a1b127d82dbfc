"""The states of core returns, remanufacturing orders and units (domain page §3.2).

Beyond that page: a return is cancelled where its exchange did not take place, an authorised one is
forfeited too, and a failed test leads back to where parts are decided about (ADR 1200, 1201).
"""

from ironloop.remanufacturing.v1 import remanufacturing_events_pb2 as events

from services.kit.lifecycle import Lifecycle, Transition
from services.remanufacturing.core_model import CoreState
from services.remanufacturing.order_model import OrderState
from services.remanufacturing.unit_model import UnitState

CORE_RETURN = Lifecycle(
    "core return",
    [
        Transition(
            CoreState.DEPOSIT_CHARGED,
            "authorise",
            CoreState.AUTHORISED,
            events.CoreReturnAuthorised,
            "by day 180",
        ),
        Transition(
            CoreState.DEPOSIT_CHARGED,
            "cancel",
            CoreState.CANCELLED,
            events.CoreReturnCancelled,
            "the deposit is back",
        ),
        Transition(
            CoreState.DEPOSIT_CHARGED,
            "forfeit",
            CoreState.FORFEITED,
            events.CoreForfeited,
            "day 181 has begun",
        ),
        Transition(
            CoreState.AUTHORISED,
            "receive",
            CoreState.RECEIVED,
            events.CoreReceived,
            "the family takes the part number back, by day 180",
        ),
        Transition(
            CoreState.AUTHORISED,
            "forfeit",
            CoreState.FORFEITED,
            events.CoreForfeited,
            "day 181 has begun",
        ),
        Transition(
            CoreState.AUTHORISED,
            "reject",
            CoreState.REJECTED,
            events.CoreRejected,
            "the return freight is paid",
        ),
        Transition(CoreState.RECEIVED, "propose_grade", CoreState.RECEIVED),
        Transition(
            CoreState.RECEIVED,
            "grade",
            CoreState.GRADED,
            events.CoreGraded,
            "two persons above 20,000.00 of deposit",
        ),
        Transition(
            CoreState.RECEIVED,
            "reject",
            CoreState.REJECTED,
            events.CoreRejected,
            "the return freight is paid",
        ),
        Transition(
            CoreState.GRADED,
            "credit",
            CoreState.CREDITED,
            events.CoreCredited,
            "the credit is in the payer's wallet",
        ),
        Transition(
            CoreState.GRADED,
            "reject",
            CoreState.REJECTED,
            events.CoreRejected,
            "graded NONE to be sent back; the return freight is paid",
        ),
    ],
)

REMAN_ORDER = Lifecycle(
    "remanufacturing order",
    [
        Transition(OrderState.QUEUED, "inspect_incoming", OrderState.QUEUED),
        Transition(
            OrderState.QUEUED,
            "disassemble",
            OrderState.DISASSEMBLED,
            events.RemanOrderMoved,
            "the core was inspected as it came in",
        ),
        Transition(OrderState.DISASSEMBLED, "clean", OrderState.CLEANED, events.RemanOrderMoved),
        Transition(
            OrderState.CLEANED,
            "inspect",
            OrderState.INSPECTED,
            events.RemanOrderMoved,
            "each part is decided about",
        ),
        Transition(
            OrderState.INSPECTED,
            "inspect",
            OrderState.INSPECTED,
            guard="decided anew, for example after a failed test",
        ),
        Transition(
            OrderState.INSPECTED,
            "rework",
            OrderState.REWORKED,
            events.RemanOrderMoved,
            "the base part is kept",
        ),
        Transition(OrderState.INSPECTED, "scrap", OrderState.SCRAPPED, events.RemanScrapped),
        Transition(OrderState.REWORKED, "assemble", OrderState.ASSEMBLED, events.RemanOrderMoved),
        Transition(
            OrderState.ASSEMBLED,
            "pass_test",
            OrderState.TESTED,
            events.RemanOrderMoved,
            "every value is within the manufacturer's limits",
        ),
        Transition(
            OrderState.ASSEMBLED,
            "fail_test",
            OrderState.INSPECTED,
            events.RemanOrderMoved,
            "a value is not",
        ),
        Transition(
            OrderState.TESTED,
            "certify",
            OrderState.CERTIFIED,
            events.RemanCertified,
            "by another person than the tester",
        ),
        Transition(OrderState.TESTED, "scrap", OrderState.SCRAPPED, events.RemanScrapped),
        Transition(OrderState.CERTIFIED, "stock", OrderState.STOCKED, events.UnitStocked),
        Transition(OrderState.STOCKED, "reserve", OrderState.STOCKED, events.UnitReserved),
        Transition(OrderState.STOCKED, "release", OrderState.STOCKED, events.UnitStocked),
        Transition(OrderState.STOCKED, "install", OrderState.INSTALLED, events.UnitInstalled),
        Transition(OrderState.STOCKED, "sell", OrderState.SOLD, events.UnitSold),
    ],
)

UNIT = Lifecycle(
    "unit",
    [
        Transition(UnitState.STOCKED, "reserve", UnitState.RESERVED, events.UnitReserved),
        Transition(UnitState.RESERVED, "release", UnitState.STOCKED, events.UnitStocked),
        Transition(
            UnitState.RESERVED,
            "install",
            UnitState.INSTALLED,
            events.UnitInstalled,
            "the machine's record has it",
        ),
        Transition(
            UnitState.RESERVED,
            "sell",
            UnitState.SOLD,
            events.UnitSold,
            "its price is paid",
        ),
    ],
)
