"""What remanufacturing refuses."""

from collections.abc import Sequence
from datetime import date

from services.kit.amounts import yuan
from services.kit.errors import (
    AlreadyExists,
    InvalidArgument,
    PermissionDenied,
    PreconditionFailed,
)


class NotYours(PermissionDenied):
    """The command is another party's."""

    reason = "NOT_YOURS"

    def __init__(self, command: str, *, side: str, subject: str) -> None:
        super().__init__(f"only the {side} may {command} {subject}", side=side, subject=subject)


class SamePerson(PermissionDenied):
    """Two persons answer for this step, and the second one is the first."""

    reason = "SAME_PERSON"

    def __init__(self, command: str, *, subject: str) -> None:
        super().__init__(f"another person than before has to {command} {subject}", subject=subject)


class PartFamilyExists(AlreadyExists):
    """A remanufacturer has one family of a code."""

    reason = "PART_FAMILY_EXISTS"

    def __init__(self, code: str) -> None:
        super().__init__(f"you have a part family {code}", part_family_code=code)


class DepositChanged(PreconditionFailed):
    """The deposit is not the one that the payer saw."""

    reason = "DEPOSIT_CHANGED"

    def __init__(self, stated_fen: int, deposit_fen: int, *, family: str) -> None:
        super().__init__(
            f"the deposit of {family} is {yuan(deposit_fen)}, not {yuan(stated_fen)}",
            subject=family,
            deposit_fen=str(deposit_fen),
        )


class OwnCore(PreconditionFailed):
    """A remanufacturer needs no deposit from itself."""

    reason = "OWN_CORE"

    def __init__(self, party: str) -> None:
        super().__init__(f"{party} takes back this family's cores itself", subject=party)


class ReturnDeadlinePassed(PreconditionFailed):
    """The last day for the core has passed."""

    reason = "RETURN_DEADLINE_PASSED"

    def __init__(self, core_return: str, return_by: date) -> None:
        super().__init__(f"the core of {core_return} was due by {return_by}", subject=core_return)


class PartNotAccepted(PreconditionFailed):
    """The family takes no cores of this part number."""

    reason = "PART_NOT_ACCEPTED"

    def __init__(self, part_number: str, *, family: str) -> None:
        super().__init__(
            f"{family} takes no cores of part number {part_number}",
            subject=family,
            part_number=part_number,
        )


class GradeCodeUnknown(InvalidArgument):
    """The family has no such code."""

    reason = "GRADE_CODE_UNKNOWN"

    def __init__(self, code: str, known: Sequence[str]) -> None:
        super().__init__("codes", f"{code} is none of {', '.join(known) or 'no codes at all'}")


class NothingToConfirm(PreconditionFailed):
    """No grading waits for a second person."""

    reason = "NOTHING_TO_CONFIRM"

    def __init__(self, core_return: str) -> None:
        super().__init__(f"no grading of {core_return} waits", subject=core_return)


class CoreNotUsable(PreconditionFailed):
    """A core return's core cannot be remanufactured."""

    reason = "CORE_NOT_USABLE"

    def __init__(self, core_return: str, why: str) -> None:
        super().__init__(f"the core of {core_return} {why}", subject=core_return)


class StepMissing(PreconditionFailed):
    """A step has to be recorded before this one."""

    reason = "STEP_MISSING"

    def __init__(self, order: str, step: str) -> None:
        super().__init__(f"{order} has no {step} yet", subject=order, step=step)


class PartUnknown(InvalidArgument):
    """The component has no part in this position."""

    reason = "PART_UNKNOWN"

    def __init__(self, field: str, positions: Sequence[str]) -> None:
        super().__init__(field, f"there is no {', '.join(positions)} in this component")


class PartsUndecided(InvalidArgument):
    """Each part concerned is named once."""

    reason = "PARTS_UNDECIDED"

    def __init__(self, field: str, *, expected: Sequence[str]) -> None:
        super().__init__(field, f"must name each of these once: {', '.join(expected) or 'none'}")


class PartMissing(InvalidArgument):
    """What is not there cannot be used again."""

    reason = "PART_MISSING"

    def __init__(self, position: str) -> None:
        super().__init__("decisions", f"{position} was missing, so it must be replaced")


class SubstituteNotAllowed(InvalidArgument):
    """The family does not allow this part number in this position."""

    reason = "SUBSTITUTE_NOT_ALLOWED"

    def __init__(self, part_number: str, *, position: str, allowed: Sequence[str]) -> None:
        super().__init__(
            "works", f"{position} takes {', '.join(allowed)}, not part number {part_number}"
        )


class BaseScrapped(PreconditionFailed):
    """Without its base nothing is left to remanufacture."""

    reason = "BASE_SCRAPPED"

    def __init__(self, order: str, position: str) -> None:
        super().__init__(
            f"{position}, the base of {order}, is not kept: scrap the order", subject=order
        )


class MeasurementsIncomplete(InvalidArgument):
    """A test measures each characteristic once."""

    reason = "MEASUREMENTS_INCOMPLETE"

    def __init__(self, expected: Sequence[str]) -> None:
        super().__init__("values", f"must hold each of these once: {', '.join(expected)}")


class TooManyTests(PreconditionFailed):
    """A component that fails again and again is to be scrapped."""

    reason = "TEST_RUNS_FULL"

    def __init__(self, order: str, limit: int) -> None:
        super().__init__(f"{order} was tested {limit} times, which is the limit", subject=order)


class RecordFull(PreconditionFailed):
    """An order's record has a limit."""

    reason = "RECORD_FULL"

    def __init__(self, order: str, limit: int) -> None:
        super().__init__(f"{order} has {limit} recorded steps, which is the limit", subject=order)


class NoUnitInStock(PreconditionFailed):
    """No unit of the family is free."""

    reason = "NO_UNIT_IN_STOCK"

    def __init__(self, family: str) -> None:
        super().__init__(f"no unit of {family} is in stock", subject=family)


class HeldByOther(PreconditionFailed):
    """Another reference holds the unit."""

    reason = "HELD_BY_OTHER"

    def __init__(self, unit: str, reference: str) -> None:
        super().__init__(f"{unit} is not held for {reference}", subject=unit)


class PriceChanged(PreconditionFailed):
    """The price is not the one that the buyer saw."""

    reason = "PRICE_CHANGED"

    def __init__(self, expected_fen: int, price_fen: int, *, unit: str) -> None:
        super().__init__(
            f"the price of {unit} is {yuan(price_fen)}, not {yuan(expected_fen)}",
            subject=unit,
            price_fen=str(price_fen),
        )


class OwnUnit(PreconditionFailed):
    """Who made a unit cannot buy it."""

    reason = "OWN_UNIT"

    def __init__(self, unit: str) -> None:
        super().__init__(f"{unit} is yours", subject=unit)
