"""What finance tells of draws; each event carries the draw's own next sequence."""

from ironloop.finance.v1 import finance_events_pb2 as events

from services.finance import messages
from services.finance.draw_model import Draw, stage_of
from services.finance.payment_model import Payment
from services.kit import wire


def paid(draw: Draw, payment: Payment) -> events.DrawPaid:
    """A payment was recorded."""
    return events.DrawPaid(
        draw=draw.name,
        sequence=draw.event_sequence,
        machine=draw.machine,
        funder=draw.funder,
        borrower=draw.borrower,
        payment=messages.payment(payment),
        outstanding=wire.money(draw.outstanding_fen),
    )


def overdue(draw: Draw, *, overdue_fen: int, days: int) -> events.DrawOverdue:
    """It entered a bucket of delinquency."""
    return events.DrawOverdue(
        draw=draw.name,
        sequence=draw.event_sequence,
        machine=draw.machine,
        funder=draw.funder,
        borrower=draw.borrower,
        overdue=wire.money(overdue_fen),
        days_past_due=days,
        stage=stage_of(days),
    )


def defaulted(draw: Draw, *, owed_fen: int) -> events.DrawDefaulted:
    """It is in default."""
    return events.DrawDefaulted(
        draw=draw.name,
        sequence=draw.event_sequence,
        machine=draw.machine,
        funder=draw.funder,
        borrower=draw.borrower,
        owed=wire.money(owed_fen),
        secured=draw.secured,
    )


def shortfall(draw: Draw) -> events.CollateralShortfall:
    """Its LTV rose above the maintenance cap."""
    assert draw.cure_by is not None
    return events.CollateralShortfall(
        draw=draw.name,
        sequence=draw.event_sequence,
        machine=draw.machine,
        funder=draw.funder,
        borrower=draw.borrower,
        loan_to_value=wire.decimal(draw.loan_to_value),
        maintenance_cap=wire.decimal(draw.maintenance_cap),
        cure_by_date=wire.date(draw.cure_by),
        cause=draw.shortfall_cause,
        month=draw.breach_month,
        paydown=wire.money(draw.paydown_fen),
        valuation=draw.valuation,
    )


def enforced(draw: Draw) -> events.CollateralEnforced:
    """Its collateral is being enforced."""
    return events.CollateralEnforced(
        draw=draw.name,
        sequence=draw.event_sequence,
        machine=draw.machine,
        funder=draw.funder,
        borrower=draw.borrower,
        loan_to_value=wire.decimal(draw.loan_to_value),
        cause=draw.shortfall_cause,
    )


def cured(draw: Draw) -> events.CollateralCured:
    """Its LTV is back at or below the maintenance cap."""
    return events.CollateralCured(
        draw=draw.name,
        sequence=draw.event_sequence,
        machine=draw.machine,
        funder=draw.funder,
        borrower=draw.borrower,
        loan_to_value=wire.decimal(draw.loan_to_value),
    )
