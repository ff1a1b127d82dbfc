"""A family of engines and its parts, as pure models."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from services.remanufacturing.certificate_model import BenchRun, tested
from services.remanufacturing.family_model import (
    Characteristic,
    FamilyContent,
    FamilyPart,
    GradeCode,
    GradeCodeKind,
)
from services.remanufacturing.part_model import OrderPart, parts_of

AT = datetime(2026, 3, 2, 4, 5, 6, tzinfo=UTC)

UPGRADE = GradeCode("UPGRADE_TIER3", "older fuel system", GradeCodeKind.UPGRADE, 129_100)
CRACKED = GradeCode("CRACKED_BLOCK", "block is cracked", GradeCodeKind.DEDUCTION, 600_000)
MISSING = GradeCode("NO_TURBO", "turbocharger is missing", GradeCodeKind.ADD_ON, 200_000)
FOUND = GradeCode("WORN", "worn beyond limits", GradeCodeKind.FINDING)

ENGINE = FamilyContent(
    title="Diesel engine, six cylinders",
    component="ENGINE",
    part_numbers=("10R-1000", "10R-1001"),
    core_deposit_fen=4_500_000,
    damaged_share=Decimal("0.5"),
    grade_codes=(UPGRADE, CRACKED, MISSING, FOUND),
    parts=(
        FamilyPart("BLOCK", "block", "B-1", (), True, Decimal("400.5")),
        FamilyPart("HEAD", "cylinder head", "H-1", ("H-2",), False, Decimal("99.5")),
        FamilyPart("TURBO", "turbocharger", "T-1", ("T-2", "T-3"), False, Decimal(20)),
        FamilyPart("RINGS", "piston rings", "R-1", (), False, Decimal(5)),
    ),
    characteristics=(
        Characteristic(
            "POWER", "rated power", "kW", lower=Decimal(190), original_lower=Decimal(200)
        ),
        Characteristic(
            "OIL_PRESSURE", "oil pressure", "kPa", lower=Decimal(250), upper=Decimal(550)
        ),
    ),
    new_warranty_months=12,
    new_warranty_hours=3_000,
    new_price_fen=30_000_000,
    new_co2_kg=Decimal(5_000),
    process_co2_kg=Decimal(300),
)


def parts(**changes: Any) -> tuple[OrderPart, ...]:
    """Return the engine's parts, some of them changed by position."""
    return tuple(replace(part, **changes.get(part.position, {})) for part in parts_of(ENGINE))


def run(power: str = "205", pressure: str = "400", *, before: int = 0) -> BenchRun:
    """Return a run of a test."""
    passed: list[BenchRun] = []
    for _ in range(before + 1):
        passed.append(
            tested(
                passed,
                [("POWER", Decimal(power)), ("OIL_PRESSURE", Decimal(pressure))],
                ENGINE,
                tester="users/1",
                at=AT,
                subject="remanOrders/1",
            )
        )
    return passed[-1]
