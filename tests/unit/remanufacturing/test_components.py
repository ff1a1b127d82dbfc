"""What becomes of parts, what tests carry, and what a component may be called."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from services.kit.errors import InvalidArgument
from services.remanufacturing.certificate_model import (
    TEST_RUNS_MAX,
    RemanClass,
    class_of,
    savings_of,
)
from services.remanufacturing.errors import (
    BaseScrapped,
    MeasurementsIncomplete,
    PartMissing,
    PartsUndecided,
    PartUnknown,
    SubstituteNotAllowed,
    TooManyTests,
)
from services.remanufacturing.family_model import FamilyPart, check_content
from services.remanufacturing.part_model import (
    Disposition,
    PartDecision,
    PartWork,
    counted,
    decided,
    reworked,
    taken_apart,
)
from tests.unit.remanufacturing.components import AT, CRACKED, ENGINE, parts, run

REUSE, REWORK = Disposition.REUSE, Disposition.REWORK
REPLACE, SCRAP = Disposition.REPLACE, Disposition.SCRAP
DECISIONS = {"BLOCK": REWORK, "HEAD": REUSE, "TURBO": SCRAP, "RINGS": REPLACE}


def decisions(**changes: Disposition) -> list[PartDecision]:
    return [PartDecision(at, what, "") for at, what in (DECISIONS | changes).items()]


def work(position: str, installed: str = "", cost_fen: int = 100) -> PartWork:
    return PartWork(position, "honed", installed, "", cost_fen)


WORKS = [work("BLOCK"), work("TURBO", "T-2"), work("RINGS")]


def test_each_part_is_decided_about_once() -> None:
    found = decided(parts(), decisions())
    assert {part.position: part.disposition for part in found} == DECISIONS
    assert counted(found) == {"REUSE": 1, "REWORK": 1, "REPLACE": 1, "SCRAP": 1}
    with pytest.raises(PartsUndecided):
        decided(parts(), decisions()[1:])
    with pytest.raises(PartsUndecided):
        decided(parts(), [*decisions(), PartDecision("HEAD", REUSE, "")])
    with pytest.raises(PartUnknown):
        decided(parts(), [*decisions(), PartDecision("WHEEL", REUSE, "")])


def test_a_missing_part_is_replaced() -> None:
    without = taken_apart(parts(), ["TURBO"])
    assert [part.position for part in without if part.is_missing] == ["TURBO"]
    with pytest.raises(PartMissing):
        decided(without, decisions(TURBO=REUSE))
    assert decided(without, decisions())
    with pytest.raises(PartUnknown):
        taken_apart(parts(), ["WHEEL"])


def test_what_is_replaced_is_succeeded_by_its_own_part_or_a_substitute() -> None:
    found = reworked(decided(parts(), decisions()), WORKS, ENGINE, subject="remanOrders/1")
    turbo, rings = found[2], found[3]
    assert (turbo.installed_part_number, turbo.is_substituted) == ("T-2", True)
    assert (rings.installed_part_number, rings.is_substituted) == ("R-1", False)
    assert found[0].operation == "honed"
    with pytest.raises(SubstituteNotAllowed):
        reworked(
            decided(parts(), decisions()),
            [work("BLOCK"), work("TURBO", "H-1"), work("RINGS")],
            ENGINE,
            subject="x",
        )


def test_work_is_told_of_each_part_that_is_not_reused_and_of_no_other() -> None:
    ready = decided(parts(), decisions())
    for wrong in (WORKS[1:], [*WORKS, work("HEAD")], [*WORKS, work("RINGS")]):
        with pytest.raises(PartsUndecided):
            reworked(ready, wrong, ENGINE, subject="x")


@pytest.mark.parametrize("what", [REPLACE, SCRAP])
def test_without_its_base_nothing_is_left_to_remanufacture(what: Disposition) -> None:
    ready = decided(parts(), decisions(BLOCK=what))
    with pytest.raises(BaseScrapped):
        reworked(ready, WORKS, ENGINE, subject="remanOrders/1")


def test_costs_of_a_second_round_are_added() -> None:
    once = reworked(decided(parts(), decisions()), WORKS, ENGINE, subject="x")
    twice = reworked(decided(once, decisions()), WORKS, ENGINE, subject="x")
    assert [part.cost_fen for part in twice] == [200, 0, 200, 200]


@pytest.mark.parametrize(
    ("power", "pressure", "passed"),
    [
        ("190", "400", True),
        ("189.999", "400", False),
        ("205", "250", True),
        ("205", "550", True),
        ("205", "550.1", False),
        ("205", "249.9", False),
    ],
)
def test_a_test_passes_within_all_limits_of_the_manufacturer(
    power: str, pressure: str, passed: bool
) -> None:
    assert run(power, pressure).passed is passed


def test_a_test_measures_each_characteristic_once() -> None:
    from services.remanufacturing.certificate_model import tested  # noqa: PLC0415

    one = ("POWER", Decimal(205))
    for values in ([one], [one, one], [one, ("NOISE", Decimal(1))]):
        with pytest.raises(MeasurementsIncomplete):
            tested([], values, ENGINE, tester="users/1", at=AT, subject="x")
    with pytest.raises(InvalidArgument, match="values\\[1\\]"):
        tested(
            [],
            [one, ("OIL_PRESSURE", Decimal("1e20"))],
            ENGINE,
            tester="users/1",
            at=AT,
            subject="x",
        )


def test_tests_come_to_an_end() -> None:
    assert run(before=TEST_RUNS_MAX - 1).number == TEST_RUNS_MAX
    with pytest.raises(TooManyTests):
        run(before=TEST_RUNS_MAX)


@pytest.mark.parametrize(
    ("power", "months", "hours", "expected"),
    [
        ("200", 12, 3_000, RemanClass.REMANUFACTURED),
        ("200", 13, None, RemanClass.REMANUFACTURED),
        ("199.9", 12, 3_000, RemanClass.RECONDITIONED),
        ("200", 11, 3_000, RemanClass.RECONDITIONED),
        ("200", 12, 2_999, RemanClass.RECONDITIONED),
    ],
)
def test_remanufactured_means_original_performance_and_a_warranty_not_less_than_new(
    power: str, months: int, hours: int | None, expected: RemanClass
) -> None:
    found, why = class_of(run(power), ENGINE, warranty_months=months, warranty_hours=hours)
    assert found is expected
    assert bool(why) is (expected is RemanClass.RECONDITIONED)


def test_a_limit_of_hours_is_less_than_none() -> None:
    unlimited = replace(ENGINE, new_warranty_hours=None)
    found, _ = class_of(run(), unlimited, warranty_months=24, warranty_hours=100_000)
    assert found is RemanClass.RECONDITIONED


def test_savings_are_of_what_was_really_kept_and_spent() -> None:
    found = reworked(
        decided(parts(), decisions()),
        [work("BLOCK", cost_fen=1_000_000), work("TURBO", "T-2", 500_000), work("RINGS", "", 20)],
        ENGINE,
        subject="x",
    )
    savings = savings_of(found, ENGINE)
    assert savings.material_kg == Decimal("500.0")  # 400.5 + 99.5 of 525
    assert savings.material_share == Decimal("0.9524")
    assert savings.co2_kg == Decimal("4462.000")  # 5,000 x 0.9524 - 300
    assert savings.cost_fen == 30_000_000 - 1_500_020


def test_a_remanufacture_that_emits_more_saves_no_gases() -> None:
    dirty = replace(ENGINE, process_co2_kg=Decimal(9_000))
    assert savings_of(decided(parts(), decisions()), dirty).co2_kg == 0


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"parts": (*ENGINE.parts, ENGINE.parts[0])}, "content.parts"),
        ({"grade_codes": (CRACKED, CRACKED)}, "content.grade_codes"),
        ({"grade_codes": (replace(CRACKED, amount_fen=0),)}, "content.grade_codes[0].amount"),
        ({"damaged_share": Decimal("1.1")}, "content.damaged_share"),
        ({"damaged_share": Decimal("0.00001")}, "content.damaged_share"),
        (
            {"characteristics": (replace(ENGINE.characteristics[0], lower=None),)},
            "content.characteristics[0].lower_limit",
        ),
        (
            {"characteristics": (replace(ENGINE.characteristics[1], lower=Decimal(600)),)},
            "content.characteristics[0].lower_limit",
        ),
        (
            {"characteristics": (replace(ENGINE.characteristics[0], upper=Decimal(195)),)},
            "content.characteristics[0].original_upper",
        ),
        (
            {"parts": (replace(ENGINE.parts[0], mass_kg=Decimal(-1)),)},
            "content.parts[0].mass_kg",
        ),
    ],
)
def test_a_family_that_contradicts_itself_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        check_content(replace(ENGINE, **changes))
    assert field in [place for place, _ in refusal.value.violations]


def test_a_whole_family_is_taken() -> None:
    check_content(ENGINE)
    assert isinstance(ENGINE.part("TURBO"), FamilyPart)
