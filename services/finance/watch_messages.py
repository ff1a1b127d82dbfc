"""The collateral watch as the contract shows it."""

from ironloop.finance.v1 import finance_pb2, watch_pb2

from services.finance.borrowing_base import BaseLine, BorrowingBase
from services.finance.cover_model import CoverPoint, TermCover
from services.finance.draw_model import Draw
from services.finance.revaluation_model import Revaluation
from services.finance.shortfall_model import Shortfall
from services.kit import wire
from services.kit.ids import name


def entry(shown: Draw) -> watch_pb2.WatchEntry:
    """Return a draw of the watchlist."""
    message = watch_pb2.WatchEntry(
        draw=shown.name,
        facility=name("facilities", shown.facility_id),
        machine=shown.machine,
        funder=shown.funder,
        borrower=shown.borrower,
        state=_collateral(shown),
        outstanding=wire.money(shown.outstanding_fen),
        collateral_value=wire.money(shown.collateral_fen),
        loan_to_value=wire.decimal(shown.loan_to_value),
        paydown=wire.money(shown.paydown_fen),
        breach_month=shown.breach_month,
        cause=shown.shortfall_cause,
        valuation=shown.valuation,
    )
    if shown.cure_by is not None:
        message.cure_by_date.CopyFrom(wire.date(shown.cure_by))
    return message


def cover(draw: Draw, shown: TermCover) -> watch_pb2.Cover:
    """Return how a draw is covered over the rest of its term."""
    return watch_pb2.Cover(
        draw=draw.name,
        valuation=shown.curve.valuation,
        as_of_date=wire.date(shown.curve.as_of),
        hours_per_year=draw.hours_per_year,
        state=_collateral(draw),
        loan_to_value=wire.decimal(draw.loan_to_value),
        watch_line=wire.decimal(draw.watch_line),
        maintenance_cap=wire.decimal(draw.maintenance_cap),
        cap_month=shown.cap_month,
        breach_month=shown.forced.breach_month,
        worst_month=shown.forced.worst_month,
        worst_ratio=wire.decimal(shown.forced.worst_ratio),
        points=[_point(point) for point in shown.points],
    )


def shortfall(shown: Shortfall) -> watch_pb2.Shortfall:
    """Return a shortfall."""
    message = watch_pb2.Shortfall(
        name=shown.name,
        draw=name("draws", shown.draw_id),
        machine=shown.machine,
        funder=shown.funder,
        borrower=shown.borrower,
        state=wire.enum_number(watch_pb2.ShortfallState, shown.state, prefix="SHORTFALL_STATE_"),
        cause=shown.cause,
        month=shown.month,
        loan_to_value=wire.decimal(shown.loan_to_value),
        paydown=wire.money(shown.paydown_fen),
        valuation=shown.valuation,
        cure_by_date=wire.date(shown.cure_by),
        create_time=wire.instant(shown.create_time),
    )
    if shown.end_time is not None:
        message.end_time.CopyFrom(wire.instant(shown.end_time))
    return message


def revaluation(shown: Revaluation) -> watch_pb2.Revaluation:
    """Return a revaluation."""
    return watch_pb2.Revaluation(
        name=shown.name,
        machine=shown.machine,
        funder=shown.funder,
        state=wire.enum_number(
            watch_pb2.RevaluationState, shown.state, prefix="REVALUATION_STATE_"
        ),
        reasons=[
            watch_pb2.RevaluationReason(
                cause=wire.enum_number(
                    watch_pb2.RevaluationCause, reason.cause, prefix="REVALUATION_CAUSE_"
                ),
                description=reason.description,
            )
            for reason in shown.reasons
        ],
        valuation=shown.valuation,
        former_valuation=shown.former_valuation,
        failure=shown.failure,
        create_time=wire.instant(shown.create_time),
        update_time=wire.instant(shown.update_time),
    )


def borrowing_base(
    shown: BorrowingBase,
    content: bytes,
    sha256: str,
    file_format: watch_pb2.BorrowingBaseFormat.ValueType,
) -> watch_pb2.BorrowingBase:
    """Return a borrowing base with its file."""
    return watch_pb2.BorrowingBase(
        facility=shown.facility,
        as_of_date=wire.date(shown.as_of),
        format=file_format,
        content=content,
        sha256=sha256,
        lines=[_base_line(line) for line in shown.lines],
        eligible=wire.money(shown.eligible_fen),
        ineligible=wire.money(shown.ineligible_fen),
        base=wire.money(shown.base_fen),
        outstanding=wire.money(shown.outstanding_fen),
        availability=wire.money(shown.availability_fen),
        policy_version=shown.policy_version,
    )


def _base_line(line: BaseLine) -> watch_pb2.BorrowingBaseLine:
    return watch_pb2.BorrowingBaseLine(
        draw=line.draw,
        machine=line.machine,
        custodian=line.custodian,
        outstanding=wire.money(line.outstanding_fen),
        collateral_value=wire.money(line.collateral_fen),
        eligible=wire.money(line.eligible_fen),
        ineligible=wire.money(line.ineligible_fen),
        reasons=[
            wire.enum_number(watch_pb2.IneligibleReason, reason, prefix="INELIGIBLE_REASON_")
            for reason in line.reasons
        ],
        why=line.why,
        valuation=line.valuation,
    )


def _point(point: CoverPoint) -> watch_pb2.CoverPoint:
    return watch_pb2.CoverPoint(
        month=point.month,
        date=wire.date(point.on),
        balance=wire.money(point.balance_fen),
        collateral_value=wire.money(point.collateral_fen),
        loan_to_value=wire.decimal(point.loan_to_value),
        flv_q10=wire.money(point.flv_q10_fen),
        flv_ratio=wire.decimal(point.flv_ratio),
    )


def _collateral(shown: Draw) -> finance_pb2.CollateralState.ValueType:
    number: finance_pb2.CollateralState.ValueType = wire.enum_number(
        finance_pb2.CollateralState, shown.collateral_state, prefix="COLLATERAL_STATE_"
    )
    return number
