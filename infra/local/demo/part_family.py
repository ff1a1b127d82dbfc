"""The family of engines that the demo's remanufacturer makes as new; its amounts are WE-12's."""

from google.type import decimal_pb2
from ironloop.remanufacturing.v1 import families_pb2

from services.kit import wire

FAMILY_CODE = "ENGINE-6D"
OWN_PART_NUMBER = "10R-1000"
DEPOSIT_FEN = 4_500_000
UPGRADE_CODE = "UPGRADE_TIER3"
UPGRADE_FEN = 129_100
NEW_WARRANTY_MONTHS = 12


def engine_family() -> families_pb2.PartFamilyContent:
    """Return what the family says: parts, grade codes, limits of the test, deposit."""
    return families_pb2.PartFamilyContent(
        title="Diesel engine, six cylinders",
        component="ENGINE",
        part_numbers=[OWN_PART_NUMBER, "10R-1001"],
        core_deposit=wire.money(DEPOSIT_FEN),
        damaged_share=_number("0.5"),
        grade_codes=[
            families_pb2.GradeCode(
                code=UPGRADE_CODE,
                title="older fuel system",
                kind=families_pb2.GRADE_CODE_KIND_UPGRADE,
                amount=wire.money(UPGRADE_FEN),
            ),
            families_pb2.GradeCode(
                code="CRACKED_BLOCK",
                title="cracked block",
                kind=families_pb2.GRADE_CODE_KIND_DEDUCTION,
                amount=wire.money(600_000),
            ),
        ],
        parts=[
            families_pb2.FamilyPart(
                position="BLOCK",
                title="cylinder block",
                part_number="B-1",
                is_base=True,
                mass_kg=_number("410"),
            ),
            families_pb2.FamilyPart(
                position="CRANKSHAFT", title="crankshaft", part_number="C-1", mass_kg=_number("120")
            ),
            families_pb2.FamilyPart(
                position="TURBO", title="turbocharger", part_number="T-1", mass_kg=_number("22")
            ),
        ],
        characteristics=[
            families_pb2.TestCharacteristic(
                code="RATED_POWER",
                title="rated power",
                unit="kW",
                lower_limit=_number("190"),
                original_lower=_number("200"),
            ),
            families_pb2.TestCharacteristic(
                code="BLOW_BY", title="crankcase blow-by", unit="l/min", upper_limit=_number("60")
            ),
        ],
        new_warranty_months=NEW_WARRANTY_MONTHS,
        new_price=wire.money(14_000_000),
        new_co2_kg=_number("5000"),
        process_co2_kg=_number("300"),
    )


def _number(text: str) -> decimal_pb2.Decimal:
    return decimal_pb2.Decimal(value=text)
