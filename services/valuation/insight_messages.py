"""Explanations, comparable sales and index series as the contract shows them."""

from collections.abc import Sequence
from decimal import Decimal

from ironloop.common.v1 import common_pb2
from ironloop.valuation.v1 import explanations_pb2

from services.kit import wire
from services.kit.ids import name
from services.valuation.comparables import Comparable
from services.valuation.explanation import Explanation, ValueBasis
from services.valuation.indices import SCALE, IndexPoint
from services.valuation.nowcast_model import MonthSums

pb = explanations_pb2


def basis_from_wire(basis: common_pb2.ValueBasis.ValueType) -> ValueBasis:
    """Return which value is asked for; fair market value where none is stated."""
    if not basis:
        return ValueBasis.FMV
    return ValueBasis(wire.enum_name(common_pb2.ValueBasis, basis, prefix="VALUE_BASIS_"))


def explanation_to_wire(
    explanation: Explanation, *, valuation: str, model: str, policy: str
) -> pb.Explanation:
    """Return an explanation as the contract shows it."""
    return pb.Explanation(
        valuation=valuation,
        basis=wire.enum_number(common_pb2.ValueBasis, explanation.basis, prefix="VALUE_BASIS_"),
        value=wire.money(explanation.value_fen),
        start=wire.money(explanation.start_fen),
        start_description=explanation.start,
        lines=[
            pb.ExplanationLine(
                code=line.code,
                description=line.description,
                percent=wire.decimal(line.percent),
                amount=wire.money(line.amount_fen),
            )
            for line in explanation.lines
        ],
        model=name("models", model),
        policy=name("policies", policy),
    )


def comparable_to_wire(comparable: Comparable) -> pb.Comparable:
    """Return a comparable sale as the contract shows it."""
    sale = comparable.sale
    message = pb.Comparable(
        sale=sale.sale,
        sold_on=wire.date(sale.facts.on),
        description=", ".join(part for part in (sale.facts.product_class, sale.model) if part),
        build_year=sale.facts.build_year or 0,
        price=wire.money(comparable.price_fen),
        price_usd=wire.decimal(Decimal(str(sale.price_usd))),
        distance=wire.decimal(comparable.distance),
        adjustments=[
            pb.ComparableAdjustment(code=one.code, factor=wire.decimal(one.factor))
            for one in comparable.adjustments
        ],
        adjusted_price=wire.money(comparable.adjusted_fen),
    )
    if sale.facts.hours_meter:
        message.hours_meter.CopyFrom(wire.decimal(Decimal(str(sale.facts.hours_meter))))
    return message


def index_points(points: Sequence[IndexPoint]) -> list[pb.IndexPoint]:
    """Return the months of an index as the contract shows them."""
    return [
        pb.IndexPoint(
            month=wire.date(point.month),
            value=wire.decimal(point.value),
            standard_error=(
                None if point.standard_error is None else wire.decimal(point.standard_error)
            ),
        )
        for point in points
    ]


def nowcast_points(levels: Sequence[MonthSums]) -> list[pb.IndexPoint]:
    """Return the months after a model's window as the contract shows them."""
    return [
        pb.IndexPoint(
            month=wire.date(level.month),
            value=wire.decimal(Decimal(level.mean).exp().quantize(SCALE)),
            standard_error=wire.decimal(Decimal(level.spread()).quantize(SCALE)),
        )
        for level in levels
    ]
