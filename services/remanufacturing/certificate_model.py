"""Tests of finished components, what they may be called after them, and what was saved."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from services.finmath.money import ratio
from services.remanufacturing.errors import MeasurementsIncomplete, TooManyTests
from services.remanufacturing.family_model import FamilyContent, check_figure
from services.remanufacturing.part_model import KEPT, OrderPart

TEST_RUNS_MAX = 20  # a component that fails this often will never be good


class RemanClass(StrEnum):
    """How good a component is (BS 8887-220 and -240)."""

    REMANUFACTURED = "REMANUFACTURED"
    RECONDITIONED = "RECONDITIONED"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One measured value beside what it was held against."""

    code: str
    value: Decimal
    unit: str
    lower: Decimal | None
    upper: Decimal | None
    is_within_limits: bool
    is_original: bool


@dataclass(frozen=True, slots=True)
class BenchRun:
    """One run of a test."""

    number: int
    measurements: tuple[Measurement, ...]
    tester: str
    test_time: datetime

    @property
    def passed(self) -> bool:
        """Whether every value was within its limits."""
        return all(each.is_within_limits for each in self.measurements)


@dataclass(frozen=True, slots=True)
class Savings:
    """What was saved against a new component; mass and gases in kilograms."""

    material_kg: Decimal
    material_share: Decimal
    co2_kg: Decimal
    cost_fen: int


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a second person answers for.

    Attributes:
        class_reason: Why it is not REMANUFACTURED; empty where it is.
        warranty_hours: None: not limited by hours.
    """

    reman_class: RemanClass
    class_reason: str
    label_no: str
    serial_number: str
    warranty_months: int
    warranty_hours: int | None
    savings: Savings
    certifier: str
    certify_time: datetime


def tested(
    runs: Sequence[BenchRun],
    values: Sequence[tuple[str, Decimal]],
    content: FamilyContent,
    *,
    tester: str,
    at: datetime,
    subject: str,
) -> BenchRun:
    """Return a run of a test: each measured value held against its limits.

    Args:
        runs: Those before it.
        subject: The order, for the refusal where it has been tested too often.

    Raises:
        MeasurementsIncomplete: A characteristic is left out, named twice, or not the family's.
        InvalidArgument: A figure is out of all bounds.
        TooManyTests: The order has been tested too often.
    """
    expected = [item.code for item in content.characteristics]
    if Counter(code for code, _ in values) != Counter(expected):
        raise MeasurementsIncomplete(expected)
    for number, (_, value) in enumerate(values):
        check_figure(value, field=f"values[{number}].value")
    if len(runs) >= TEST_RUNS_MAX:
        raise TooManyTests(subject, TEST_RUNS_MAX)
    measured = dict(values)
    measurements = tuple(
        Measurement(
            code=item.code,
            value=measured[item.code],
            unit=item.unit,
            lower=item.lower,
            upper=item.upper,
            is_within_limits=item.is_within_limits(measured[item.code]),
            is_original=item.is_original(measured[item.code]),
        )
        for item in content.characteristics
    )
    return BenchRun(len(runs) + 1, measurements, tester, at)


def class_of(
    run: BenchRun, content: FamilyContent, *, warranty_months: int, warranty_hours: int | None
) -> tuple[RemanClass, str]:
    """Return what a tested component may be called, and why it may not be called more.

    REMANUFACTURED asks for original performance and a warranty not less than new (BS 8887-220).
    """
    below = [each.code for each in run.measurements if not each.is_original]
    if below:
        return RemanClass.RECONDITIONED, f"below the original in {', '.join(below)}"
    new_hours = content.new_warranty_hours
    is_shorter = warranty_hours is not None and (new_hours is None or warranty_hours < new_hours)
    if warranty_months < content.new_warranty_months or is_shorter:
        return RemanClass.RECONDITIONED, "its warranty is less than that of a new one"
    return RemanClass.REMANUFACTURED, ""


def savings_of(parts: Sequence[OrderPart], content: FamilyContent) -> Savings:
    """Return what was saved against a new component, from what was really kept and spent."""
    whole_kg = sum((part.mass_kg for part in parts), Decimal(0))
    kept_kg = sum((part.mass_kg for part in parts if part.disposition in KEPT), Decimal(0))
    share = ratio(kept_kg, whole_kg, places=4) if whole_kg else Decimal("0.0000")
    co2_kg = max(Decimal(0), content.new_co2_kg * share - content.process_co2_kg)
    return Savings(
        material_kg=kept_kg,
        material_share=share,
        co2_kg=ratio(co2_kg, 1, places=3),
        cost_fen=content.new_price_fen - sum(part.cost_fen for part in parts),
    )
