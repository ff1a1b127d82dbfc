"""The states of programmes, leases and instalments."""

from ironloop.leasing.v1 import leasing_events_pb2 as events

from services.kit.lifecycle import Lifecycle, Transition
from services.leasing.claim_model import ClaimState
from services.leasing.disposal_model import DisposalState
from services.leasing.instalment_model import InstalmentState
from services.leasing.model import LeaseState
from services.leasing.programme_model import ProgrammeState

_S = LeaseState
_I = InstalmentState

PROGRAMME: Lifecycle[ProgrammeState] = Lifecycle(
    "lease programme",
    [
        Transition(
            ProgrammeState.PUBLISHED,
            "update",
            ProgrammeState.PUBLISHED,
            event=events.LeaseProgrammePublished,
        ),
        Transition(
            ProgrammeState.PUBLISHED,
            "retire",
            ProgrammeState.RETIRED,
            event=events.LeaseProgrammeRetired,
        ),
        Transition(ProgrammeState.PUBLISHED, "quote", ProgrammeState.PUBLISHED),
    ],
)

_BEFORE_ACTIVE = (_S.QUOTED, _S.APPLIED, _S.APPROVED, _S.SIGNED)
_IN_DEFAULT_OR_OVER = (_S.DEFAULTED, _S.RETURNED, _S.INSPECTED, _S.TOTAL_LOSS)
_FOR_SALE = (_S.REPOSSESSED, _S.INSPECTED)
_WITH_THE_LESSEE = (_S.ACTIVE, _S.BUYOUT_QUOTED, _S.MATURED, _S.EXTENDED, _S.RETURN_PENDING)

LEASE: Lifecycle[LeaseState] = Lifecycle(
    "lease",
    [
        Transition(_S.QUOTED, "apply", _S.APPLIED, guard="within 30 days of the quote"),
        Transition(_S.APPLIED, "decline", _S.DECLINED),
        Transition(
            _S.APPLIED,
            "approve",
            _S.APPROVED,
            guard="the lessor holds the title, the machine is available and in no other live lease",
        ),
        Transition(_S.APPROVED, "sign", _S.APPROVED, guard="the hash is that of the terms"),
        Transition(
            _S.APPROVED,
            "complete_signatures",
            _S.SIGNED,
            event=events.LeaseSigned,
            guard="the other side has signed the same hash",
        ),
        Transition(_S.SIGNED, "accept_delivery", _S.SIGNED, guard="not accepted before"),
        Transition(
            _S.SIGNED,
            "activate",
            _S.ACTIVE,
            event=events.LeaseActivated,
            guard="delivery accepted, registry number given, deposit and fee paid",
        ),
        *(Transition(state, "cancel", _S.CANCELLED) for state in _BEFORE_ACTIVE),
        *(Transition(state, "expire", _S.EXPIRED) for state in _BEFORE_ACTIVE),
        *(
            Transition(state, "pay", state, event=events.InstalmentPaid)
            for state in (
                _S.ACTIVE,
                _S.MATURED,
                _S.EXTENDED,
                _S.RETURN_PENDING,
                *_IN_DEFAULT_OR_OVER,
            )
        ),
        Transition(
            _S.BUYOUT_QUOTED,
            "pay",
            _S.ACTIVE,
            event=events.InstalmentPaid,
            guard="the quote lapses, its figures no longer hold",
        ),
        Transition(
            _S.ACTIVE,
            "prepay",
            _S.ACTIVE,
            event=events.LeaseRescheduled,
            guard="what has fallen due is paid, what is to come is the lessor's",
        ),
        *(
            Transition(state, "report_usage", state, event=events.UsageReported)
            for state in (*_WITH_THE_LESSEE, _S.DEFAULTED)
        ),
        *(
            Transition(state, "assign", state, event=events.InstalmentsAssigned)
            for state in (_S.ACTIVE, _S.BUYOUT_QUOTED)
        ),
        Transition(_S.ACTIVE, "quote_buyout", _S.BUYOUT_QUOTED, event=events.BuyoutQuoted),
        Transition(_S.BUYOUT_QUOTED, "quote_buyout", _S.BUYOUT_QUOTED, event=events.BuyoutQuoted),
        Transition(_S.BUYOUT_QUOTED, "lapse_buyout", _S.ACTIVE, guard="the quoted day is over"),
        Transition(
            _S.BUYOUT_QUOTED,
            "buy_out",
            _S.BOUGHT_OUT,
            event=events.LeaseBoughtOut,
            guard="the quoted day is not over; the total is paid",
        ),
        *(
            Transition(state, "mature", _S.MATURED, event=events.LeaseMatured)
            for state in (_S.ACTIVE, _S.BUYOUT_QUOTED, _S.EXTENDED)
        ),
        Transition(
            _S.MATURED,
            "purchase",
            _S.PURCHASED,
            event=events.LeasePurchased,
            guard="every instalment is paid; the residual is paid",
        ),
        Transition(
            _S.MATURED,
            "extend",
            _S.EXTENDED,
            event=events.LeaseRescheduled,
            guard="every instalment is paid; the terms offer it",
        ),
        Transition(_S.MATURED, "return", _S.RETURN_PENDING),
        Transition(_S.MATURED, "lapse_election", _S.RETURN_PENDING, guard="10 days passed"),
        Transition(_S.RETURN_PENDING, "return", _S.RETURN_PENDING),
        Transition(_S.RETURN_PENDING, "confirm_return", _S.RETURNED, event=events.LeaseReturned),
        *(
            Transition(
                state,
                "give_notice",
                state,
                event=events.DefaultNoticeGiven,
                guard="an instalment is overdue",
            )
            for state in _WITH_THE_LESSEE
        ),
        *(
            Transition(
                state,
                "declare_default",
                _S.DEFAULTED,
                event=events.LeaseDefaulted,
                guard="more than 90 days past due, or two in a row overdue and 10 days of notice",
            )
            for state in _WITH_THE_LESSEE
        ),
        Transition(
            _S.DEFAULTED,
            "cure_default",
            _S.ACTIVE,
            event=events.DefaultCured,
            guard="what has fallen due is paid or written off",
        ),
        Transition(_S.DEFAULTED, "repossess", _S.REPOSSESSED, event=events.MachineRepossessed),
        *(
            Transition(state, "report_total_loss", _S.TOTAL_LOSS, event=events.TotalLossReported)
            for state in (*_WITH_THE_LESSEE, _S.DEFAULTED)
        ),
        Transition(
            _S.TOTAL_LOSS,
            "reject_total_loss",
            _S.ACTIVE,
            event=events.TotalLossRejected,
            guard="the insurer has not paid",
        ),
        Transition(
            _S.TOTAL_LOSS,
            "pay_total_loss",
            _S.TOTAL_LOSS,
            event=events.TotalLossPaid,
            guard="not paid before",
        ),
        Transition(_S.RETURNED, "inspect", _S.INSPECTED, event=events.ReturnInspected),
        *(
            Transition(state, "write_off", state, event=events.InstalmentWrittenOff)
            for state in _IN_DEFAULT_OR_OVER
        ),
        *(
            Transition(
                state,
                "open_disposal",
                state,
                event=events.DisposalOpened,
                guard="the machine has no open disposal",
            )
            for state in _FOR_SALE
        ),
        *(
            Transition(state, "settle_disposal", state, event=events.DisposalSettled)
            for state in _FOR_SALE
        ),
        *(
            Transition(
                state,
                "close",
                _S.CLOSED,
                event=events.LeaseClosed,
                guard="instalments settled, disposal over, loss paid",
            )
            for state in (_S.INSPECTED, _S.REPOSSESSED, _S.TOTAL_LOSS)
        ),
    ],
)

INSTALMENT: Lifecycle[InstalmentState] = Lifecycle(
    "instalment",
    [
        Transition(_I.SCHEDULED, "fall_due", _I.DUE, event=events.InstalmentDue),
        Transition(_I.DUE, "pay_part", _I.PARTIAL, event=events.InstalmentPaid),
        Transition(_I.PARTIAL, "pay_part", _I.PARTIAL, event=events.InstalmentPaid),
        Transition(_I.OVERDUE, "pay_part", _I.OVERDUE, event=events.InstalmentPaid),
        *(
            Transition(state, "pay", _I.PAID, event=events.InstalmentPaid)
            for state in (_I.DUE, _I.PARTIAL, _I.OVERDUE)
        ),
        *(
            Transition(state, "fall_overdue", _I.OVERDUE, event=events.InstalmentOverdue)
            for state in (_I.DUE, _I.PARTIAL)
        ),
        Transition(_I.OVERDUE, "age", _I.OVERDUE, event=events.InstalmentOverdue),
        Transition(_I.SCHEDULED, "assign", _I.SCHEDULED, event=events.InstalmentsAssigned),
        Transition(_I.SCHEDULED, "give_back", _I.SCHEDULED, event=events.InstalmentsReturned),
        Transition(_I.SCHEDULED, "reschedule", _I.SCHEDULED, event=events.LeaseRescheduled),
        Transition(_I.SCHEDULED, "pay_off", _I.PAID_OFF, event=events.LeaseBoughtOut),
        Transition(_I.OVERDUE, "write_off", _I.WRITTEN_OFF, event=events.InstalmentWrittenOff),
        *(
            Transition(
                state,
                "fall_short",
                _I.WRITTEN_OFF,
                event=events.DisposalSettled,
                guard="the disposal did not cover it; a claim does",
            )
            for state in (_I.SCHEDULED, _I.DUE, _I.PARTIAL, _I.OVERDUE)
        ),
    ],
)

CLAIM: Lifecycle[ClaimState] = Lifecycle(
    "claim",
    [
        Transition(ClaimState.OPEN, "pay_part", ClaimState.OPEN, event=events.ClaimPaid),
        Transition(ClaimState.OPEN, "pay", ClaimState.PAID, event=events.ClaimPaid),
        Transition(ClaimState.OPEN, "waive", ClaimState.WAIVED, event=events.ClaimWaived),
    ],
)

DISPOSAL: Lifecycle[DisposalState] = Lifecycle(
    "disposal",
    [
        Transition(
            DisposalState.OPEN, "record_unsold", DisposalState.OPEN, event=events.DisposalUnsold
        ),
        Transition(
            DisposalState.OPEN,
            "revalue",
            DisposalState.OPEN,
            event=events.DisposalRevalued,
            guard="unsold twice more",
        ),
        Transition(
            DisposalState.OPEN,
            "settle",
            DisposalState.SETTLED,
            event=events.DisposalSettled,
            guard="an order has sold the machine, its price lies in escrow",
        ),
        Transition(
            DisposalState.OPEN, "cancel", DisposalState.CANCELLED, event=events.DisposalCancelled
        ),
    ],
)
