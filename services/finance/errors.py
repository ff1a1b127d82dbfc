"""What finance refuses."""

from datetime import date, datetime
from decimal import Decimal

from services.kit.amounts import yuan
from services.kit.errors import Aborted, AlreadyExists, InvalidArgument, PreconditionFailed


class OverrideOutOfBounds(InvalidArgument):
    """A facility's own policy value lies outside what the policy allows."""

    reason = "OVERRIDE_OUT_OF_BOUNDS"

    def __init__(self, problem: str) -> None:
        super().__init__("overrides", problem)


class PolicyExists(AlreadyExists):
    """A policy of this version is published."""

    reason = "POLICY_EXISTS"

    def __init__(self, version: str) -> None:
        super().__init__(f"policy {version} is published", version=version)


class FacilityNotActive(PreconditionFailed):
    """The facility is suspended or closed."""

    reason = "FACILITY_NOT_ACTIVE"

    def __init__(self, facility: str, state: str) -> None:
        super().__init__(f"{facility} is {state}", subject=facility, state=state)


class FacilityInUse(PreconditionFailed):
    """Money is outstanding on the facility, or on its way."""

    reason = "FACILITY_IN_USE"

    def __init__(self, facility: str, in_use_fen: int) -> None:
        super().__init__(
            f"{facility} cannot be closed while {yuan(in_use_fen)} CNY are drawn or on their way",
            subject=facility,
        )


class HeadroomExceeded(PreconditionFailed):
    """The facility has less left than the amount."""

    reason = "HEADROOM_EXCEEDED"

    def __init__(self, facility: str, amount_fen: int, available_fen: int) -> None:
        super().__init__(
            f"{yuan(amount_fen)} CNY exceed the {yuan(available_fen)} CNY left on {facility}",
            subject=facility,
            amount_fen=str(amount_fen),
            available_fen=str(available_fen),
        )


class LienFound(PreconditionFailed):
    """Somebody holds a lien on the machine."""

    reason = "LIEN_FOUND"

    def __init__(self, machine: str, lien: str) -> None:
        super().__init__(f"{machine} is encumbered by {lien}", subject=machine, lien=lien)


class TitleMoved(PreconditionFailed):
    """The borrower no longer holds the machine's title."""

    reason = "TITLE_MOVED"

    def __init__(self, machine: str) -> None:
        super().__init__(f"the borrower no longer holds the title to {machine}", subject=machine)


class FactsMissing(PreconditionFailed):
    """The registry lacks a fact of the machine that the policy asks for."""

    reason = "FACTS_MISSING"

    def __init__(self, machine: str, fact: str) -> None:
        super().__init__(f"{fact} of {machine} is not registered", subject=machine, fact=fact)


class ValuationNotIssued(PreconditionFailed):
    """The valuation waits for a validator, so nothing can be lent on it."""

    reason = "VALUATION_NOT_ISSUED"

    def __init__(self, valuation: str, state: str) -> None:
        super().__init__(f"{valuation} is {state}, not ISSUED", subject=valuation, state=state)


class GradeManualOnly(PreconditionFailed):
    """The valuation's grade is not lent on automatically."""

    reason = "GRADE_MANUAL_ONLY"

    def __init__(self, valuation: str, grade: str) -> None:
        super().__init__(
            f"{valuation} has grade {grade}; only A to C are offered on automatically",
            subject=valuation,
            grade=grade,
        )


class AgeAtMaturity(PreconditionFailed):
    """The machine would be too old when the loan ends."""

    reason = "AGE_AT_MATURITY"

    def __init__(self, machine: str, years: int, years_max: Decimal) -> None:
        super().__init__(
            f"{machine} would be {years} years old at maturity, the limit is {years_max}",
            subject=machine,
            years=str(years),
        )


class HoursAtMaturity(PreconditionFailed):
    """The machine would have too many hours when the loan ends."""

    reason = "HOURS_AT_MATURITY"

    def __init__(self, machine: str, hours: Decimal, hours_max: int) -> None:
        super().__init__(
            f"{machine} would have {hours:,.0f} hours at maturity, the limit of its class is "
            f"{hours_max:,}",
            subject=machine,
            hours=f"{hours:.0f}",
        )


class TermTooLong(PreconditionFailed):
    """The term exceeds the policy's longest."""

    reason = "TERM_TOO_LONG"

    def __init__(self, months: int, months_max: Decimal) -> None:
        super().__init__(f"a term of {months} months exceeds the longest, {months_max}")


class BalloonTooHigh(PreconditionFailed):
    """The balloon is not below the amount."""

    reason = "BALLOON_TOO_HIGH"

    def __init__(self, balloon_fen: int, amount_fen: int) -> None:
        super().__init__(
            f"a balloon of {yuan(balloon_fen)} CNY is not below the amount of "
            f"{yuan(amount_fen)} CNY"
        )


class ThroughLifeCover(PreconditionFailed):
    """At some month the balance would exceed what the machine then brings."""

    reason = "THROUGH_LIFE_COVER"

    def __init__(self, *, month: int, ratio: Decimal, balance_fen: int, value_fen: int) -> None:
        super().__init__(
            f"in month {month} the balance of {yuan(balance_fen)} CNY would be {ratio:.2%} of the "
            f"FLV q10 of {yuan(value_fen)} CNY",
            month=str(month),
            ratio=str(ratio),
            balance_fen=str(balance_fen),
            flv_q10_fen=str(value_fen),
        )


class OfferExpired(PreconditionFailed):
    """The offer's time is over."""

    reason = "OFFER_EXPIRED"

    def __init__(self, offer: str, expired_at: datetime) -> None:
        super().__init__(f"{offer} expired at {expired_at.isoformat()}", subject=offer)


class DrawExists(PreconditionFailed):
    """The offer is drawn, or being drawn."""

    reason = "DRAW_EXISTS"

    def __init__(self, offer: str) -> None:
        super().__init__(f"{offer} is drawn, or a draw of it is under way", subject=offer)


class ShortfallBlocksDraws(PreconditionFailed):
    """Another draw on the facility is in shortfall or default."""

    reason = "COLLATERAL_SHORTFALL"

    def __init__(self, facility: str) -> None:
        super().__init__(
            f"a draw on {facility} is in shortfall or default; cure it before another is made",
            subject=facility,
        )


class DrawNotOutstanding(PreconditionFailed):
    """The draw is not paid out, or is paid back."""

    reason = "DRAW_NOT_OUTSTANDING"

    def __init__(self, draw: str, state: str) -> None:
        super().__init__(f"{draw} is {state}", subject=draw, state=state)


class NotInDefault(PreconditionFailed):
    """The draw is neither late enough nor in enforcement."""

    reason = "NOT_IN_DEFAULT"

    def __init__(self, draw: str, days: int) -> None:
        super().__init__(
            f"{draw} is {days} days past due and not in enforcement; a default takes more than "
            "90 days, or enforcement",
            subject=draw,
            days_past_due=str(days),
        )


class AmountAbovePayoff(PreconditionFailed):
    """More is offered than the draw owes."""

    reason = "AMOUNT_ABOVE_PAYOFF"

    def __init__(self, draw: str, amount_fen: int, payoff_fen: int) -> None:
        super().__init__(
            f"{yuan(amount_fen)} CNY exceed the {yuan(payoff_fen)} CNY that pay {draw} off today",
            subject=draw,
            payoff_fen=str(payoff_fen),
        )


class DrawBusy(Aborted):
    """A draw or a payment is on its way."""

    reason = "DRAW_BUSY"

    def __init__(self, draw: str, held_by: str) -> None:
        super().__init__(f"{draw} is being worked on by {held_by}", draw=draw)


class TransferNotFound(PreconditionFailed):
    """Settlement knows no such posted transfer."""

    reason = "TRANSFER_NOT_FOUND"

    def __init__(self, transfer_id: str) -> None:
        super().__init__(f"settlement has not posted a transfer {transfer_id}")


class TransferMismatch(PreconditionFailed):
    """A transfer is not what it is said to be."""

    reason = "TRANSFER_MISMATCH"

    def __init__(self, transfer_id: str, *, field: str, found: str, expected: str) -> None:
        super().__init__(
            f"{field} of the transfer {transfer_id} is {found}, not {expected}", field=field
        )


class PayoffShort(PreconditionFailed):
    """A transfer is less than the draw owed on its day."""

    reason = "PAYOFF_SHORT"

    def __init__(self, draw: str, *, paid_fen: int, owed_fen: int, on: date) -> None:
        super().__init__(
            f"{yuan(paid_fen)} CNY do not pay the {yuan(owed_fen)} CNY that {draw} owed on {on}",
            subject=draw,
            owed_fen=str(owed_fen),
        )


class ReceivableNotEligible(PreconditionFailed):
    """A receivable cannot be sold as it is."""

    reason = "RECEIVABLE_NOT_ELIGIBLE"

    def __init__(self, receivable: str, number: int, cause: str) -> None:
        super().__init__(f"instalment {number} {cause}", subject=receivable, number=str(number))


class AlreadyAssigned(AlreadyExists):
    """A receivable stands in a live offer or assignment."""

    reason = "ALREADY_ASSIGNED"

    def __init__(self, number: int, factoring: str) -> None:
        super().__init__(
            f"instalment {number} is offered or assigned under {factoring}",
            number=str(number),
            factoring=factoring,
        )


class ConcentrationExceeded(PreconditionFailed):
    """One debtor would stand for too much of a facility, or of a funder's portfolio."""

    reason = "CONCENTRATION_EXCEEDED"

    def __init__(self, debtor: str, *, amount_fen: int, allowed_fen: int, of: str) -> None:
        super().__init__(
            f"receivables of {debtor} would reach {yuan(amount_fen)} CNY, its share of {of} is "
            f"{yuan(allowed_fen)} CNY",
            subject=debtor,
        )


class FactoringBusy(Aborted):
    """The factoring is being worked on."""

    reason = "FACTORING_BUSY"

    def __init__(self, factoring: str, held_by: str) -> None:
        super().__init__(f"{factoring} is being worked on by {held_by}", factoring=factoring)


class TopUpNeeded(PreconditionFailed):
    """A draw is not within its watch line without its top-up."""

    reason = "TOP_UP_NEEDED"

    def __init__(self, draw: str, loan_to_value: Decimal, watch_line: Decimal) -> None:
        super().__init__(
            f"without its top-up the loan to value of {draw} would be {loan_to_value}, above "
            f"{watch_line}, or it is in enforcement",
            subject=draw,
            loan_to_value=str(loan_to_value),
        )


class CoverUnknown(PreconditionFailed):
    """No curve of the draw's machine has been read yet."""

    reason = "COVER_UNKNOWN"

    def __init__(self, draw: str) -> None:
        super().__init__(f"the values to come of the machine of {draw} are not known", subject=draw)


class TooManyLines(PreconditionFailed):
    """A facility has more draws than a borrowing base takes."""

    reason = "TOO_MANY_LINES"

    def __init__(self, facility: str, lines_max: int) -> None:
        super().__init__(
            f"{facility} has more than {lines_max:,} outstanding draws", subject=facility
        )


class DriftStopsOffers(PreconditionFailed):
    """The model of the values drifts so far that nothing is lent on them automatically."""

    reason = "DRIFT_STOPS_OFFERS"

    def __init__(self, equipment_class: str, level: int) -> None:
        super().__init__(
            f"the values of {equipment_class} are under drift alarm {level}; nothing is offered on "
            "them automatically",
            equipment_class=equipment_class,
        )
