"""Leases, schedules and usage as the contract shows them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from ironloop.common.v1 import common_pb2
from ironloop.leasing.v1 import leasing_pb2, programmes_pb2

from services.finmath.day_count import DayCount
from services.kit import wire
from services.kit.calendar import CHINA
from services.kit.etags import etag
from services.kit.ids import name
from services.leasing.announcements import bucket_to_wire, buyout_to_wire
from services.leasing.ending_messages import inspection_to_wire, loss_to_wire
from services.leasing.instalment_model import Instalment, instalments_of
from services.leasing.meter_clients import Reported
from services.leasing.model import Lease, LeaseState, due_day
from services.leasing.quote import Figures
from services.leasing.terms import LeaseTerms
from services.leasing.usage_model import Usage

_RUNNING = frozenset(
    {
        LeaseState.ACTIVE,
        LeaseState.BUYOUT_QUOTED,
        LeaseState.MATURED,
        LeaseState.EXTENDED,
        LeaseState.RETURN_PENDING,
        LeaseState.RETURNED,
        LeaseState.DEFAULTED,
    }
)


def lease_to_wire(lease: Lease) -> leasing_pb2.Lease:
    """Return a lease."""
    message = leasing_pb2.Lease(
        name=lease.name,
        uid=str(lease.id),
        etag=etag(lease.version),
        event_sequence=lease.event_sequence,
        state=wire.enum_number(leasing_pb2.LeaseState, lease.state, prefix="LEASE_STATE_"),
        standing=_standing(lease),
        terms=terms_to_wire(lease.terms),
        canonical_terms=lease.canonical_terms,
        terms_sha256=lease.terms_sha256,
        figures=figures_to_wire(lease.figures, lease.terms),
        signatures=_signatures(lease),
        registry_no=lease.registry_no,
        outstanding_principal=wire.money(lease.outstanding_fen),
        residual=wire.money(lease.residual_now_fen),
        deposit_held=wire.money(lease.deposit_held_fen),
        reason=lease.reason,
        create_time=wire.instant(lease.create_time),
        update_time=wire.instant(lease.update_time),
        arrears_bucket=bucket_to_wire(lease.arrears_bucket),
        overdue_count=lease.overdue_count,
        inspector=lease.inspector,
    )
    _add_ending(message, lease)
    if lease.expire_at is not None:
        message.expire_time.CopyFrom(wire.instant(lease.expire_at))
    if lease.start_on is not None:
        message.start_date.CopyFrom(wire.date(lease.start_on))
    if lease.maturity_on is not None:
        message.maturity_date.CopyFrom(wire.date(lease.maturity_on))
    if lease.buyout is not None:
        quote = buyout_to_wire(lease.buyout, deposit_fen=lease.deposit_held_fen)
        message.buyout_quote.CopyFrom(quote)
    return message


def _add_ending(message: leasing_pb2.Lease, lease: Lease) -> None:
    """Add what there is of arrears, default, loss and inspection."""
    if lease.overdue_since is not None:
        message.overdue_since_date.CopyFrom(wire.date(lease.overdue_since))
    if lease.notice_on is not None:
        message.default_notice_date.CopyFrom(wire.date(lease.notice_on))
    if lease.defaulted_on is not None:
        message.default_date.CopyFrom(wire.date(lease.defaulted_on))
    if lease.ended_on is not None:
        message.end_date.CopyFrom(wire.date(lease.ended_on))
    if lease.loss is not None:
        loss = loss_to_wire(lease.loss, outstanding_fen=lease.outstanding_fen)
        message.total_loss.CopyFrom(loss)
    if lease.inspection is not None:
        message.inspection.CopyFrom(inspection_to_wire(lease.inspection))


def terms_to_wire(terms: LeaseTerms) -> leasing_pb2.LeaseTerms:
    """Return the terms of a lease."""
    return leasing_pb2.LeaseTerms(
        programme=terms.programme,
        programme_revision=terms.programme_revision,
        machine=terms.machine,
        machine_number=terms.machine_number,
        lessor=terms.lessor,
        lessee=terms.lessee,
        financed_amount=wire.money(terms.financed_fen),
        residual=wire.money(terms.residual_fen),
        guaranteed_residual=wire.money(terms.guaranteed_residual_fen),
        term_months=terms.term_months,
        payment_timing=timing_to_wire(in_advance=terms.in_advance),
        nominal_rate=wire.decimal(terms.nominal_rate),
        day_count=day_count_to_wire(terms.day_count),
        fee=wire.money(terms.fee_fen),
        deposit=wire.money(terms.deposit_fen),
        hours_per_year=terms.hours_per_year,
        excess_hour_rate=wire.money(terms.excess_hour_rate_fen),
        buyout_fee_rate=wire.decimal(terms.buyout_fee_rate),
        penalty_daily_rate=wire.decimal(terms.penalty_daily_rate),
        penalty_cap_rate=wire.decimal(terms.penalty_cap_rate),
        extension_months_max=terms.extension_months_max,
        extension_residual_rate=wire.decimal(terms.extension_residual_rate),
    )


def figures_to_wire(figures: Figures, terms: LeaseTerms) -> leasing_pb2.QuoteFigures:
    """Return what a lease on these terms costs."""
    return leasing_pb2.QuoteFigures(
        payment=wire.money(figures.payment_fen),
        last_payment=wire.money(figures.last_payment_fen),
        payments_total=wire.money(figures.payments_fen),
        interest_total=wire.money(figures.interest_fen),
        total_cost=wire.money(figures.interest_fen + terms.fee_fen),
        total_payable=wire.money(figures.payments_fen + terms.fee_fen),
        nominal_rate=wire.decimal(terms.nominal_rate),
        effective_rate=wire.decimal(figures.effective_rate),
        all_in_nominal_rate=wire.decimal(figures.all_in_nominal_rate),
        all_in_effective_rate=wire.decimal(figures.all_in_effective_rate),
        classification=leasing_pb2.Classification(
            is_finance_lease=bool(figures.reasons),
            reasons=[
                wire.enum_number(
                    leasing_pb2.FinanceLeaseReason, reason, prefix="FINANCE_LEASE_REASON_"
                )
                for reason in figures.reasons
            ],
            implicit_rate=wire.decimal(figures.implicit_rate),
            payments_value=wire.money(figures.payments_value_fen),
            value_share=wire.decimal(figures.value_share),
            unguaranteed_value=wire.money(figures.unguaranteed_value_fen),
            net_investment=wire.money(figures.net_investment_fen),
        ),
    )


def instalment_to_wire(instalment: Instalment, *, on: date) -> leasing_pb2.Instalment:
    """Return an instalment, its penalty as accrued to a day."""
    accrued = instalment.accrued_to(on)
    message = leasing_pb2.Instalment(
        name=accrued.name,
        lease=name("leases", accrued.lease_id),
        number=accrued.number,
        state=wire.enum_number(
            leasing_pb2.InstalmentState, accrued.state, prefix="INSTALMENT_STATE_"
        ),
        due_date=wire.date(accrued.due_on),
        payable_date=wire.date(accrued.payable_on),
        owner=accrued.owner,
        assignment=accrued.assignment,
        fees=wire.money(accrued.due.fees_fen),
        penalty=wire.money(accrued.due.penalty_fen),
        interest=wire.money(accrued.due.interest_fen),
        principal=wire.money(accrued.due.principal_fen),
        paid_fees=wire.money(accrued.paid.fees_fen),
        paid_penalty=wire.money(accrued.paid.penalty_fen),
        paid_interest=wire.money(accrued.paid.interest_fen),
        paid_principal=wire.money(accrued.paid.principal_fen),
        balance=wire.money(accrued.balance_fen),
        days_past_due=accrued.days_past_due(on),
        bucket=bucket_to_wire(accrued.bucket_on(on)),
    )
    if accrued.pay_time is not None:
        message.pay_time.CopyFrom(wire.instant(accrued.pay_time))
    return message


def schedule_to_wire(
    lease: Lease, instalments: Sequence[Instalment], *, on: date
) -> leasing_pb2.Schedule:
    """Return a lease's schedule as of a day; before activation as if it began that day."""
    if lease.maturity_on is None:
        start_on = lease.start_on or on
        rows = lease.terms.schedule().rows
        instalments = instalments_of(lease, rows, start_on=start_on, after=0, calendar=CHINA)
        maturity_on = due_day(start_on, lease.terms.term_months, in_advance=False)
        lease = replace(lease, maturity_on=maturity_on, calendar_version=CHINA.version)
    return leasing_pb2.Schedule(
        lease=lease.name,
        revision=lease.schedule_revision,
        calendar_version=lease.calendar_version,
        instalments=[instalment_to_wire(instalment, on=on) for instalment in instalments],
        residual=wire.money(lease.residual_now_fen),
        maturity_date=wire.date(lease.matures_on),
    )


def usage_to_wire(
    lease: Lease, usage: Usage, *, reported: Reported | None = None
) -> leasing_pb2.Usage:
    """Return a lease's usage, with the reading that was just reported where one was."""
    return leasing_pb2.Usage(
        meter_reading=reported.name if reported else "",
        meter_reading_state=wire.enum_number(
            leasing_pb2.UsageReadingState,
            reported.state if reported else "UNSPECIFIED",
            prefix="USAGE_READING_STATE_",
        ),
        lease=lease.name,
        report_date=wire.date(usage.last.reported_on),
        hours_meter=wire.decimal(usage.last.hours),
        hours_used=wire.decimal(usage.used),
        hours_allowed=wire.decimal(usage.allowed),
        excess_hours=wire.decimal(usage.excess),
        excess_charge=wire.money(usage.charge_fen),
    )


def timing_to_wire(*, in_advance: bool) -> programmes_pb2.PaymentTiming.ValueType:
    """Return when in its month a payment falls due."""
    if in_advance:
        return programmes_pb2.PAYMENT_TIMING_ADVANCE
    return programmes_pb2.PAYMENT_TIMING_ARREARS


def day_count_to_wire(day_count: DayCount) -> common_pb2.DayCount.ValueType:
    """Return a day count of the contract."""
    number: common_pb2.DayCount.ValueType = wire.enum_number(
        common_pb2.DayCount, day_count, prefix="DAY_COUNT_"
    )
    return number


def _standing(lease: Lease) -> leasing_pb2.LeaseStanding.ValueType:
    if lease.state not in _RUNNING:
        return leasing_pb2.LEASE_STANDING_UNSPECIFIED
    if lease.overdue_count:
        return leasing_pb2.LEASE_STANDING_ARREARS
    return leasing_pb2.LEASE_STANDING_CURRENT


def _signatures(lease: Lease) -> list[leasing_pb2.Signature]:
    given = [
        (time, party, signer)
        for party, signer, time in (
            (lease.terms.lessor, lease.lessor_signer, lease.lessor_sign_time),
            (lease.terms.lessee, lease.lessee_signer, lease.lessee_sign_time),
        )
        if time is not None
    ]
    return [
        leasing_pb2.Signature(
            party=party,
            signer=signer,
            terms_sha256=lease.terms_sha256,
            sign_time=wire.instant(time),
        )
        for time, party, signer in sorted(given)
    ]
