"""The state machines of finance (domain page, section 3.2)."""

from ironloop.finance.v1 import finance_events_pb2

from services.finance.draw_model import CollateralState, DrawState
from services.finance.facility_model import FacilityState
from services.finance.offer_model import OfferState
from services.finance.receivable_model import FactoringState, ReceivableState
from services.finance.subordination_model import SubordinationState
from services.kit.lifecycle import Lifecycle, Transition

FACILITY = Lifecycle(
    "facility",
    [
        Transition(
            FacilityState.ACTIVE,
            "suspend",
            FacilityState.SUSPENDED,
            event=finance_events_pb2.FacilityStateChanged,
        ),
        Transition(
            FacilityState.SUSPENDED,
            "resume",
            FacilityState.ACTIVE,
            event=finance_events_pb2.FacilityStateChanged,
        ),
        *(
            Transition(
                state,
                "close",
                FacilityState.CLOSED,
                event=finance_events_pb2.FacilityStateChanged,
                guard="nothing outstanding or on its way",
            )
            for state in (FacilityState.ACTIVE, FacilityState.SUSPENDED)
        ),
    ],
)

OFFER = Lifecycle(
    "offer",
    [
        Transition(
            OfferState.REQUESTED,
            "make",
            OfferState.OFFERED,
            event=finance_events_pb2.OfferMade,
            guard="valuation ISSUED and unexpired, lien search clean, headroom, policy, cover",
        ),
        Transition(OfferState.REQUESTED, "refuse", OfferState.REFUSED),
        Transition(
            OfferState.OFFERED,
            "accept",
            OfferState.ACCEPTED,
            event=finance_events_pb2.OfferAccepted,
        ),
        Transition(
            OfferState.OFFERED,
            "withdraw",
            OfferState.WITHDRAWN,
            event=finance_events_pb2.OfferLapsed,
        ),
        Transition(
            OfferState.OFFERED,
            "expire",
            OfferState.EXPIRED,
            event=finance_events_pb2.OfferLapsed,
            guard="7 days have passed",
        ),
        Transition(
            OfferState.ACCEPTED,
            "expire",
            OfferState.EXPIRED,
            event=finance_events_pb2.OfferLapsed,
            guard="the valuation has expired and no draw is under way",
        ),
        Transition(
            OfferState.ACCEPTED,
            "draw",
            OfferState.DRAWN,
            event=finance_events_pb2.OfferDrawn,
            guard="headroom, lien registered, money paid",
        ),
        Transition(
            OfferState.DRAWN,
            "repay",
            OfferState.REPAID,
            event=finance_events_pb2.OfferRepaid,
            guard="the last fen is paid",
        ),
        Transition(
            OfferState.DRAWN,
            "declare_default",
            OfferState.DEFAULTED,
            guard="its draw is in default",
        ),
        Transition(
            OfferState.DEFAULTED,
            "repay",
            OfferState.REPAID,
            event=finance_events_pb2.OfferRepaid,
            guard="the last fen of the claim is paid",
        ),
    ],
)

DRAW = Lifecycle(
    "draw",
    [
        Transition(DrawState.PENDING, "pay_out", DrawState.ACTIVE),
        Transition(DrawState.PENDING, "cancel", DrawState.CANCELLED, guard="payment refused"),
        Transition(DrawState.ACTIVE, "pay", DrawState.ACTIVE, event=finance_events_pb2.DrawPaid),
        Transition(
            DrawState.ACTIVE,
            "repay",
            DrawState.REPAID,
            event=finance_events_pb2.DrawPaid,
            guard="the last fen is paid",
        ),
        Transition(
            DrawState.ACTIVE,
            "declare_default",
            DrawState.DEFAULTED,
            event=finance_events_pb2.DrawDefaulted,
            guard="more than 90 days past due, or in ENFORCEMENT",
        ),
        *(
            Transition(
                state,
                "close_short",
                DrawState.DEFAULTED,
                event=finance_events_pb2.DrawDefaulted,
                guard="the disposal of the machine left a claim",
            )
            for state in (DrawState.ACTIVE, DrawState.DEFAULTED)
        ),
        Transition(
            DrawState.DEFAULTED, "pay", DrawState.DEFAULTED, event=finance_events_pb2.DrawPaid
        ),
        Transition(
            DrawState.DEFAULTED,
            "repay",
            DrawState.REPAID,
            event=finance_events_pb2.DrawPaid,
            guard="the last fen is paid",
        ),
    ],
)

SUBORDINATION = Lifecycle(
    "subordination",
    [
        Transition(
            SubordinationState.GIVEN,
            "use",
            SubordinationState.USED,
            event=finance_events_pb2.SubordinationUsed,
            guard="the junior draw is paid out",
        ),
        Transition(
            SubordinationState.GIVEN,
            "expire",
            SubordinationState.EXPIRED,
            event=finance_events_pb2.SubordinationEnded,
            guard="its time has passed and no junior draw is under way",
        ),
        Transition(
            SubordinationState.GIVEN,
            "revoke",
            SubordinationState.REVOKED,
            event=finance_events_pb2.SubordinationEnded,
            guard="no junior draw is under way",
        ),
    ],
)

_WITHIN_CAP = (CollateralState.COMPLIANT, CollateralState.WATCH, CollateralState.CURED)

COLLATERAL = Lifecycle(
    "collateral",
    [
        *(
            Transition(
                state, "find_compliant", CollateralState.COMPLIANT, guard="LTV <= watch line"
            )
            for state in (CollateralState.COMPLIANT, CollateralState.WATCH)
        ),
        Transition(
            CollateralState.CURED,
            "find_compliant",
            CollateralState.CURED,
            guard="LTV <= watch line",
        ),
        *(
            Transition(state, "find_watch", CollateralState.WATCH, guard="LTV > watch line")
            for state in _WITHIN_CAP
        ),
        *(
            Transition(
                state,
                "find_shortfall",
                CollateralState.SHORTFALL,
                event=finance_events_pb2.CollateralShortfall,
                guard="LTV > maintenance cap",
            )
            for state in _WITHIN_CAP
        ),
        Transition(
            CollateralState.SHORTFALL,
            "find_shortfall",
            CollateralState.SHORTFALL,
            guard="LTV > maintenance cap; told once",
        ),
        *(
            Transition(
                CollateralState.SHORTFALL,
                command,
                CollateralState.CURED,
                event=finance_events_pb2.CollateralCured,
                guard="LTV <= maintenance cap",
            )
            for command in ("find_watch", "find_compliant")
        ),
        Transition(
            CollateralState.SHORTFALL,
            "enforce",
            CollateralState.ENFORCEMENT,
            event=finance_events_pb2.CollateralEnforced,
            guard="not cured within 10 business days; the lease is in default",
        ),
        *(
            Transition(
                state,
                "enforce",
                CollateralState.ENFORCEMENT,
                event=finance_events_pb2.CollateralEnforced,
                guard="the lease is in default, or the machine repossessed",
            )
            for state in _WITHIN_CAP
        ),
        *(
            Transition(CollateralState.ENFORCEMENT, command, CollateralState.ENFORCEMENT)
            for command in ("enforce", "find_compliant", "find_watch", "find_shortfall")
        ),
        Transition(
            CollateralState.ENFORCEMENT,
            "lift",
            CollateralState.CURED,
            event=finance_events_pb2.CollateralCured,
            guard="the lease's default is cured; LTV <= maintenance cap",
        ),
        Transition(
            CollateralState.ENFORCEMENT,
            "lift_short",
            CollateralState.SHORTFALL,
            event=finance_events_pb2.CollateralShortfall,
            guard="the lease's default is cured; LTV > maintenance cap",
        ),
    ],
)

_UNASSIGNED = (ReceivableState.CREATED, ReceivableState.CONFIRMED, ReceivableState.OFFERED)
_ASSIGNED = (ReceivableState.ASSIGNED, ReceivableState.FUNDED, ReceivableState.COLLECTING)

RECEIVABLE = Lifecycle(
    "receivable",
    [
        Transition(
            ReceivableState.CREATED,
            "confirm",
            ReceivableState.CONFIRMED,
            event=finance_events_pb2.ReceivableConfirmed,
            guard="the debtor signs amount and due date",
        ),
        Transition(ReceivableState.CONFIRMED, "confirm", ReceivableState.CONFIRMED),
        Transition(
            ReceivableState.CONFIRMED,
            "offer",
            ReceivableState.OFFERED,
            guard="in no live offer or assignment; ahead and unpaid",
        ),
        Transition(
            ReceivableState.OFFERED,
            "assign",
            ReceivableState.ASSIGNED,
            event=finance_events_pb2.ReceivableAssigned,
            guard="instalments are the funder's at leasing; registered",
        ),
        Transition(ReceivableState.OFFERED, "unlock", ReceivableState.CONFIRMED),
        Transition(
            ReceivableState.ASSIGNED,
            "unlock",
            ReceivableState.CONFIRMED,
            event=finance_events_pb2.ReceivableAssignmentCancelled,
            guard="no cash in 24 h; instalments returned at leasing",
        ),
        Transition(
            ReceivableState.ASSIGNED,
            "fund",
            ReceivableState.FUNDED,
            event=finance_events_pb2.ReceivableFunded,
            guard="the price is paid",
        ),
        # What the lessor still owns may be paid too; it stays what it is until it is paid in full.
        *(Transition(state, "collect", state) for state in _UNASSIGNED),
        Transition(ReceivableState.ASSIGNED, "collect", ReceivableState.ASSIGNED),
        Transition(ReceivableState.FUNDED, "collect", ReceivableState.COLLECTING),
        Transition(ReceivableState.COLLECTING, "collect", ReceivableState.COLLECTING),
        *(
            Transition(
                state,
                "settle",
                ReceivableState.SETTLED,
                event=finance_events_pb2.ReceivableSettled,
                guard="paid in full, or ended with its lease",
            )
            for state in (*_UNASSIGNED, *_ASSIGNED)
        ),
        *(
            Transition(
                state,
                "revise",
                ReceivableState.CREATED,
                guard="the lease's schedule changed; the debtor signs anew",
            )
            for state in (ReceivableState.CREATED, ReceivableState.CONFIRMED)
        ),
        *(
            Transition(state, "dispute", ReceivableState.DISPUTED)
            for state in (*_UNASSIGNED, *_ASSIGNED)
        ),
        *(
            Transition(state, "dilute", ReceivableState.DILUTED, guard="credit note")
            for state in (*_UNASSIGNED, *_ASSIGNED)
        ),
        *(
            Transition(state, "claim_recourse", ReceivableState.RECOURSE, guard="with recourse")
            for state in (ReceivableState.DISPUTED, ReceivableState.DILUTED)
        ),
    ],
    not_yet_available=["dispute", "dilute", "claim_recourse"],
)

FACTORING = Lifecycle(
    "factoring",
    [
        Transition(FactoringState.OFFERED, "assign", FactoringState.ASSIGNED),
        Transition(FactoringState.OFFERED, "cancel", FactoringState.CANCELLED),
        Transition(FactoringState.ASSIGNED, "fund", FactoringState.FUNDED),
        Transition(
            FactoringState.ASSIGNED,
            "return",
            FactoringState.CANCELLED,
            guard="no cash in 24 h; instalments returned at leasing",
        ),
        Transition(FactoringState.FUNDED, "settle", FactoringState.SETTLED),
    ],
)
