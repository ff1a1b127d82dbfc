"""Part families: what comes back as a core, what it is made of, and what it must measure."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from services.kit.errors import InvalidArgument
from services.kit.ids import name

MASS_KG_MAX = Decimal(100_000)  # heavier than any machine, let alone a component
CO2_KG_MAX = Decimal(10_000_000)
FIGURE_MAX = Decimal(10**12)  # no unit of measure makes a component's figure larger
PLACES_MAX = 6


class GradeCodeKind(StrEnum):
    """What a code does to the credit."""

    FINDING = "FINDING"
    ADD_ON = "ADD_ON"
    DEDUCTION = "DEDUCTION"
    UPGRADE = "UPGRADE"


@dataclass(frozen=True, slots=True)
class GradeCode:
    """A code by which cores are graded; it takes off `amount_fen`."""

    code: str
    title: str
    kind: GradeCodeKind
    amount_fen: int = 0


@dataclass(frozen=True, slots=True)
class FamilyPart:
    """One line of what a component is made of.

    Attributes:
        is_base: Without it nothing is left to remanufacture.
    """

    position: str
    title: str
    part_number: str
    substitutes: tuple[str, ...]
    is_base: bool
    mass_kg: Decimal

    @property
    def allowed_part_numbers(self) -> tuple[str, ...]:
        """What may take its place."""
        return (self.part_number, *self.substitutes)


@dataclass(frozen=True, slots=True)
class Characteristic:
    """What a finished component is tested for.

    Attributes:
        lower, upper: The manufacturer's limits.
        original_lower, original_upper: What an original component measures; None: the limits.
    """

    code: str
    title: str
    unit: str
    lower: Decimal | None = None
    upper: Decimal | None = None
    original_lower: Decimal | None = None
    original_upper: Decimal | None = None

    def is_within_limits(self, value: Decimal) -> bool:
        """Whether a measured value is within the manufacturer's limits."""
        return _within(value, self.lower, self.upper)

    def is_original(self, value: Decimal) -> bool:
        """Whether a measured value is what an original component measures."""
        lower = self.lower if self.original_lower is None else self.original_lower
        upper = self.upper if self.original_upper is None else self.original_upper
        return self.is_within_limits(value) and _within(value, lower, upper)


@dataclass(frozen=True, slots=True)
class FamilyContent:
    """What a family says; a version of it never changes.

    Attributes:
        component: A code of valuation's policy table, for example "ENGINE".
        damaged_share: The share of the deposit that a DAMAGED core is worth.
        new_warranty_hours: None: not limited by hours.
        new_co2_kg, process_co2_kg: Of making a new one, and of the remanufacture itself.
    """

    title: str
    component: str
    part_numbers: tuple[str, ...]
    core_deposit_fen: int
    damaged_share: Decimal
    grade_codes: tuple[GradeCode, ...]
    parts: tuple[FamilyPart, ...]
    characteristics: tuple[Characteristic, ...]
    new_warranty_months: int
    new_warranty_hours: int | None
    new_price_fen: int
    new_co2_kg: Decimal
    process_co2_kg: Decimal

    def part(self, position: str) -> FamilyPart:
        """Return the part in a position that the family has."""
        return next(part for part in self.parts if part.position == position)


@dataclass(frozen=True, slots=True)
class PartFamily:
    """A family of components of one remanufacturer."""

    id: UUID
    version: int
    code: str
    remanufacturer: str
    content: FamilyContent = field(repr=False)
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "partFamilies/<uuid>"."""
        return name("partFamilies", self.id)


def check_content(content: FamilyContent) -> None:
    """Check what the contract's field rules cannot say.

    Raises:
        InvalidArgument: Names every field that is wrong, up to a limit.
    """
    problems = list(_problems(content))
    if problems:
        raise InvalidArgument.many([(f"content.{place}", what) for place, what in problems])


def _problems(content: FamilyContent) -> Iterator[tuple[str, str]]:
    yield from _duplicates("grade_codes", (code.code for code in content.grade_codes))
    yield from _duplicates("parts", (part.position for part in content.parts))
    yield from _duplicates("characteristics", (item.code for item in content.characteristics))
    yield from _out_of("damaged_share", content.damaged_share, Decimal(1), places=4)
    yield from _out_of("new_co2_kg", content.new_co2_kg, CO2_KG_MAX, places=3)
    yield from _out_of("process_co2_kg", content.process_co2_kg, CO2_KG_MAX, places=3)
    for number, code in enumerate(content.grade_codes):
        if (code.kind is GradeCodeKind.FINDING) != (code.amount_fen == 0):
            yield f"grade_codes[{number}].amount", "is zero for a finding, and only for one"
    for number, part in enumerate(content.parts):
        yield from _out_of(f"parts[{number}].mass_kg", part.mass_kg, MASS_KG_MAX, places=3)
    for number, item in enumerate(content.characteristics):
        yield from _limit_problems(f"characteristics[{number}]", item)


def _limit_problems(place: str, item: Characteristic) -> Iterator[tuple[str, str]]:
    figures = (item.lower, item.upper, item.original_lower, item.original_upper)
    if item.lower is None and item.upper is None:
        yield f"{place}.lower_limit", "one of the two limits is needed"
    if any(not _is_figure(figure) for figure in figures if figure is not None):
        yield place, f"figures are at most {FIGURE_MAX} in size with {PLACES_MAX} decimals"
    elif not (_ordered(item.lower, item.upper) and _ordered(item.lower, item.original_lower)):
        yield f"{place}.lower_limit", "must not exceed the upper limit or the original's"
    elif not (
        _ordered(item.original_lower, item.original_upper)
        and _ordered(item.original_lower, item.upper)
        and _ordered(item.original_upper, item.upper)
        and _ordered(item.lower, item.original_upper)
    ):
        yield f"{place}.original_upper", "must lie between the original's lower and the upper limit"


def check_figure(value: Decimal, *, field: str) -> None:
    """Check a measured figure's size and decimals.

    Raises:
        InvalidArgument: It is larger than any figure of a component; names `field`.
    """
    if not _is_figure(value):
        raise InvalidArgument(
            field, f"must be at most {FIGURE_MAX} in size with at most {PLACES_MAX} decimals"
        )


def _is_figure(value: Decimal) -> bool:
    return abs(value) <= FIGURE_MAX and _places(value) <= PLACES_MAX


def _places(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return -exponent if isinstance(exponent, int) else PLACES_MAX + 1


def _out_of(
    place: str, value: Decimal, limit: Decimal, *, places: int
) -> Iterator[tuple[str, str]]:
    if not 0 <= value <= limit or _places(value) > places:
        yield place, f"must lie in 0 to {limit} with at most {places} decimals"


def _duplicates(place: str, keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    twice = sorted(key for key, count in Counter(keys).items() if count > 1)
    if twice:
        yield place, f"names {', '.join(twice)} more than once"


def _ordered(low: Decimal | None, high: Decimal | None) -> bool:
    return low is None or high is None or low <= high


def _within(value: Decimal, lower: Decimal | None, upper: Decimal | None) -> bool:
    return _ordered(lower, value) and _ordered(value, upper)
