"""Part families as the contract shows them, and back."""

from decimal import Decimal
from typing import Any

from ironloop.remanufacturing.v1 import families_pb2

from services.kit import wire
from services.kit.etags import etag
from services.remanufacturing.family_model import (
    Characteristic,
    FamilyContent,
    FamilyPart,
    GradeCode,
    GradeCodeKind,
    PartFamily,
)
from services.remanufacturing.figures_wire import decimal_or_none

_KIND = "GRADE_CODE_KIND_"


def family_to_wire(family: PartFamily) -> families_pb2.PartFamily:
    """Return a family as the contract shows it."""
    return families_pb2.PartFamily(
        name=family.name,
        uid=str(family.id),
        etag=etag(family.version),
        code=family.code,
        remanufacturer=family.remanufacturer,
        content=_content_to_wire(family.content),
        create_time=wire.instant(family.create_time),
        update_time=wire.instant(family.update_time),
    )


def grade_code_to_wire(code: GradeCode) -> families_pb2.GradeCode:
    """Return a grade code as the contract shows it."""
    return families_pb2.GradeCode(
        code=code.code,
        title=code.title,
        kind=wire.enum_number(families_pb2.GradeCodeKind, code.kind, prefix=_KIND),
        amount=wire.money(code.amount_fen),
    )


def content_from_wire(content: families_pb2.PartFamilyContent) -> FamilyContent:
    """Return what is stated of a family.

    Raises:
        InvalidArgument: An amount or a number is not well-formed.
    """
    return FamilyContent(
        title=content.title,
        component=content.component,
        part_numbers=tuple(content.part_numbers),
        core_deposit_fen=wire.fen(
            content.core_deposit, field="content.core_deposit", positive=True
        ),
        damaged_share=wire.to_decimal(content.damaged_share, field="content.damaged_share"),
        grade_codes=tuple(
            GradeCode(
                code=code.code,
                title=code.title,
                kind=GradeCodeKind(
                    wire.enum_name(families_pb2.GradeCodeKind, code.kind, prefix=_KIND)
                ),
                amount_fen=(
                    wire.fen(code.amount, field=f"content.grade_codes[{number}].amount")
                    if code.HasField("amount")
                    else 0
                ),
            )
            for number, code in enumerate(content.grade_codes)
        ),
        parts=tuple(_part(part, number) for number, part in enumerate(content.parts)),
        characteristics=tuple(
            _characteristic(item, number) for number, item in enumerate(content.characteristics)
        ),
        new_warranty_months=content.new_warranty_months,
        new_warranty_hours=(
            content.new_warranty_hours if content.HasField("new_warranty_hours") else None
        ),
        new_price_fen=wire.fen(content.new_price, field="content.new_price", positive=True),
        new_co2_kg=wire.to_decimal(content.new_co2_kg, field="content.new_co2_kg"),
        process_co2_kg=wire.to_decimal(content.process_co2_kg, field="content.process_co2_kg"),
    )


def _content_to_wire(content: FamilyContent) -> families_pb2.PartFamilyContent:
    return families_pb2.PartFamilyContent(
        title=content.title,
        component=content.component,
        part_numbers=content.part_numbers,
        core_deposit=wire.money(content.core_deposit_fen),
        damaged_share=wire.decimal(content.damaged_share),
        grade_codes=[grade_code_to_wire(code) for code in content.grade_codes],
        parts=[
            families_pb2.FamilyPart(
                position=part.position,
                title=part.title,
                part_number=part.part_number,
                substitutes=part.substitutes,
                is_base=part.is_base,
                mass_kg=wire.decimal(part.mass_kg),
            )
            for part in content.parts
        ],
        characteristics=[
            families_pb2.TestCharacteristic(
                code=item.code,
                title=item.title,
                unit=item.unit,
                lower_limit=decimal_or_none(item.lower),
                upper_limit=decimal_or_none(item.upper),
                original_lower=decimal_or_none(item.original_lower),
                original_upper=decimal_or_none(item.original_upper),
            )
            for item in content.characteristics
        ],
        new_warranty_months=content.new_warranty_months,
        new_warranty_hours=content.new_warranty_hours,
        new_price=wire.money(content.new_price_fen),
        new_co2_kg=wire.decimal(content.new_co2_kg),
        process_co2_kg=wire.decimal(content.process_co2_kg),
    )


def _part(part: families_pb2.FamilyPart, number: int) -> FamilyPart:
    return FamilyPart(
        position=part.position,
        title=part.title,
        part_number=part.part_number,
        substitutes=tuple(part.substitutes),
        is_base=part.is_base,
        mass_kg=wire.to_decimal(part.mass_kg, field=f"content.parts[{number}].mass_kg"),
    )


def _characteristic(item: families_pb2.TestCharacteristic, number: int) -> Characteristic:
    return Characteristic(
        code=item.code,
        title=item.title,
        unit=item.unit,
        lower=_figure(item, "lower_limit", number),
        upper=_figure(item, "upper_limit", number),
        original_lower=_figure(item, "original_lower", number),
        original_upper=_figure(item, "original_upper", number),
    )


def _figure(item: Any, field: str, number: int) -> Decimal | None:
    if not item.HasField(field):
        return None
    return wire.to_decimal(getattr(item, field), field=f"content.characteristics[{number}].{field}")
