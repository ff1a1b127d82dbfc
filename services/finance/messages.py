"""Policies, facilities, offers and draws as the contract shows them."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from ironloop.common.v1 import common_pb2
from ironloop.finance.v1 import finance_pb2

from services.finance.claim_model import Claim
from services.finance.draw_model import Draw, Instalment, days_past_due, overdue_fen
from services.finance.facility_model import Facility
from services.finance.loss_model import ExpectedLoss
from services.finance.offer_model import Offer
from services.finance.payment_model import Payment, PayoffQuote
from services.finance.policy_model import Policy
from services.kit import wire
from services.kit.etags import etag
from services.kit.ids import name


def policy(shown: Policy) -> finance_pb2.Policy:
    """Return a policy version."""
    message = finance_pb2.Policy(
        name=shown.name,
        uid=str(shown.id),
        etag=etag(1),
        version=shown.version,
        effective_date=wire.date(shown.effective_on),
        hours_limits=[
            finance_pb2.HoursLimit(equipment_class=which, hours=hours)
            for which, hours in sorted(shown.hours_limits.items())
        ],
        create_time=wire.instant(shown.create_time),
    )
    for parameter, line in shown.values.items():
        value = message.values.add(
            parameter=wire.enum_number(
                finance_pb2.PolicyParameter, parameter, prefix="POLICY_PARAMETER_"
            ),
            value=wire.decimal(line.value),
        )
        if line.low is not None and line.high is not None:
            value.override_low.CopyFrom(wire.decimal(line.low))
            value.override_high.CopyFrom(wire.decimal(line.high))
    message.values.sort(key=lambda value: value.parameter)
    return message


def facility(shown: Facility) -> finance_pb2.Facility:
    """Return a facility."""
    return finance_pb2.Facility(
        name=shown.name,
        uid=str(shown.id),
        etag=etag(shown.version),
        event_sequence=shown.event_sequence,
        state=wire.enum_number(finance_pb2.FacilityState, shown.state, prefix="FACILITY_STATE_"),
        funder=shown.funder,
        borrower=shown.borrower,
        limit=wire.money(shown.limit_fen),
        outstanding=wire.money(shown.outstanding_fen),
        reserved=wire.money(shown.reserved_fen),
        available=wire.money(shown.available_fen),
        nominal_rate=wire.decimal(shown.nominal_rate),
        day_count=wire.enum_number(common_pb2.DayCount, shown.day_count, prefix="DAY_COUNT_"),
        basis=wire.enum_number(common_pb2.ValueBasis, shown.basis, prefix="VALUE_BASIS_"),
        overrides=[
            finance_pb2.PolicyOverride(
                parameter=wire.enum_number(
                    finance_pb2.PolicyParameter, parameter, prefix="POLICY_PARAMETER_"
                ),
                value=wire.decimal(value),
            )
            for parameter, value in sorted(shown.overrides.items())
        ],
        create_time=wire.instant(shown.create_time),
        update_time=wire.instant(shown.update_time),
    )


def offer(shown: Offer) -> finance_pb2.Offer:
    """Return an offer, with as much as is known of it."""
    wish = shown.wish
    message = finance_pb2.Offer(
        name=shown.name,
        uid=str(shown.id),
        etag=etag(shown.version),
        event_sequence=shown.event_sequence,
        state=wire.enum_number(finance_pb2.OfferState, shown.state, prefix="OFFER_STATE_"),
        facility=name("facilities", shown.facility_id),
        funder=shown.funder,
        borrower=shown.borrower,
        machine=wish.machine,
        purchase_price=wire.money(wish.purchase_price_fen),
        term_months=wish.term_months,
        balloon=wire.money(wish.balloon_fen),
        hours_per_year=wish.hours_per_year,
        purchase_money=wish.purchase_money,
        subordination=_subordination(wish.subordination_id),
        nominal_rate=wire.decimal(shown.nominal_rate),
        draw="" if shown.draw_id is None else name("draws", shown.draw_id),
        create_time=wire.instant(shown.create_time),
        update_time=wire.instant(shown.update_time),
    )
    if wish.requested_fen is not None:
        message.requested_amount.CopyFrom(wire.money(wish.requested_fen))
    if shown.expire_at is not None:
        message.expire_time.CopyFrom(wire.instant(shown.expire_at))
    if shown.refusal_reason:
        message.refusal.reason = shown.refusal_reason
        message.refusal.message = shown.refusal_message
    _add_appraisal(message, shown)
    _add_decision(message, shown)
    return message


def draw(
    shown: Draw, lines: Sequence[Instalment], *, today: date, claim: Claim | None = None
) -> finance_pb2.Draw:
    """Return a draw as of a day, with the claim that a disposal left."""
    message = finance_pb2.Draw(
        name=shown.name,
        uid=str(shown.id),
        etag=etag(shown.version),
        event_sequence=shown.event_sequence,
        state=wire.enum_number(finance_pb2.DrawState, shown.state, prefix="DRAW_STATE_"),
        offer=name("offers", shown.offer_id),
        facility=name("facilities", shown.facility_id),
        funder=shown.funder,
        borrower=shown.borrower,
        machine=shown.machine,
        principal=wire.money(shown.principal_fen),
        balloon=wire.money(shown.balloon_fen),
        nominal_rate=wire.decimal(shown.nominal_rate),
        day_count=wire.enum_number(common_pb2.DayCount, shown.day_count, prefix="DAY_COUNT_"),
        term_months=shown.term_months,
        outstanding=wire.money(shown.outstanding_fen),
        overdue=wire.money(overdue_fen(lines, today)),
        days_past_due=days_past_due(lines, today),
        lien=shown.lien,
        registry_no=shown.registry_no,
        transfer_id=shown.transfer_id,
        collateral_value=wire.money(shown.collateral_fen),
        valuation=shown.valuation,
        loan_to_value=wire.decimal(shown.loan_to_value),
        collateral_state=wire.enum_number(
            finance_pb2.CollateralState, shown.collateral_state, prefix="COLLATERAL_STATE_"
        ),
        policy_version=shown.policy_version,
        create_time=wire.instant(shown.create_time),
        update_time=wire.instant(shown.update_time),
        shortfall_cause=shown.shortfall_cause,
        top_up=wire.money(shown.top_up_fen),
        subordination=_subordination(shown.subordination_id),
        senior=wire.money(shown.senior_fen),
    )
    for field, day in (
        (message.start_date, shown.start_on),
        (message.maturity_date, shown.maturity_on),
        (message.cure_by_date, shown.cure_by),
    ):
        if day is not None:
            field.CopyFrom(wire.date(day))
    if shown.breach_month is not None:
        message.breach_month = shown.breach_month
    if claim is not None and claim.total_fen:
        message.claim.CopyFrom(_claim(claim))
    return message


def _subordination(subordination_id: UUID | None) -> str:
    return "" if subordination_id is None else name("subordinations", subordination_id)


def _claim(shown: Claim) -> finance_pb2.DisposalClaim:
    return finance_pb2.DisposalClaim(
        name=shown.name,
        state=wire.enum_number(finance_pb2.ClaimState, shown.state, prefix="CLAIM_STATE_"),
        interest=wire.money(shown.interest_fen),
        principal=wire.money(shown.principal_fen),
        penalty=wire.money(shown.penalty_fen),
        amount=wire.money(shown.total_fen),
        as_of_date=wire.date(shown.as_of),
    )


def schedule(shown: Draw, lines: Sequence[Instalment]) -> finance_pb2.DrawSchedule:
    """Return a draw's schedule."""
    return finance_pb2.DrawSchedule(
        draw=shown.name,
        calendar_version=shown.calendar_version,
        instalments=[
            finance_pb2.DrawInstalment(
                number=line.number,
                contract_date=wire.date(line.contract_on),
                due_date=wire.date(line.due_on),
                interest=wire.money(line.interest_fen),
                principal=wire.money(line.principal_fen),
                balance=wire.money(line.balance_fen),
                penalty=wire.money(line.penalty_fen),
                interest_paid=wire.money(line.interest_paid_fen),
                principal_paid=wire.money(line.principal_paid_fen),
                penalty_paid=wire.money(line.penalty_paid_fen),
            )
            for line in lines
        ],
    )


def payment(shown: Payment) -> finance_pb2.DrawPayment:
    """Return a payment on a draw."""
    return finance_pb2.DrawPayment(
        draw=name("draws", shown.draw_id),
        kind=wire.enum_number(finance_pb2.DrawPaymentKind, shown.kind, prefix="DRAW_PAYMENT_KIND_"),
        transfer_id=shown.transfer_id,
        amount=wire.money(shown.amount_fen),
        penalty=wire.money(shown.penalty_fen),
        interest=wire.money(shown.interest_fen),
        principal=wire.money(shown.principal_fen),
        excess=wire.money(shown.excess_fen),
        business_date=wire.date(shown.business_date),
        create_time=wire.instant(shown.create_time),
    )


def draw_payoff(shown: Draw, owed: PayoffQuote, on: date) -> finance_pb2.DrawPayoff:
    """Return what pays a draw off on a day."""
    return finance_pb2.DrawPayoff(
        draw=shown.name,
        as_of_date=wire.date(on),
        penalty=wire.money(owed.penalty_fen),
        due_interest=wire.money(owed.due_interest_fen),
        accrued_interest=wire.money(owed.accrued_interest_fen),
        principal=wire.money(owed.principal_fen),
        amount=wire.money(owed.total_fen),
    )


def expected_loss(draw_name: str, loss: ExpectedLoss) -> finance_pb2.ExpectedLoss:
    """Return the expected loss of a draw."""
    return finance_pb2.ExpectedLoss(
        draw=draw_name,
        stage=loss.stage,
        bucket=loss.bucket,
        exposure=wire.money(loss.exposure_fen),
        collateral=wire.money(loss.collateral_fen),
        secured=wire.money(loss.secured_fen),
        loss_given_default=wire.decimal(loss.loss_given_default),
        default_probability=wire.decimal(loss.default_probability),
        expected_loss=wire.money(loss.expected_loss_fen),
        policy_version=loss.policy_version,
    )


def _add_appraisal(message: finance_pb2.Offer, shown: Offer) -> None:
    appraisal = shown.appraisal
    if appraisal is None:
        return
    message.valuation.CopyFrom(
        finance_pb2.OfferValuation(
            valuation=appraisal.valuation,
            record_sha256=appraisal.record_sha256,
            grade=appraisal.grade,
            fmv_median=wire.money(appraisal.fmv_median_fen),
            olv_q10=wire.money(appraisal.olv_q10_fen),
            flv_q10=wire.money(appraisal.flv_q10_fen),
            expire_time=wire.instant(appraisal.expire_at),
        )
    )


def _add_decision(message: finance_pb2.Offer, shown: Offer) -> None:
    decision = shown.decision
    if decision is None:
        return
    message.policy_version = decision.policy_version
    message.senior.CopyFrom(wire.money(decision.senior_fen))
    message.bound = wire.enum_number(finance_pb2.OfferBound, decision.bound, prefix="OFFER_BOUND_")
    message.amount.CopyFrom(wire.money(decision.amount_fen))
    message.haircut.CopyFrom(wire.decimal(decision.haircut))
    message.ltv_cap.CopyFrom(wire.decimal(decision.ltv_cap))
    message.loan_to_fmv.CopyFrom(wire.decimal(decision.loan_to_fmv))
    message.effective_rate.CopyFrom(wire.decimal(decision.effective_rate))
    message.payment.CopyFrom(wire.money(decision.payment_fen))
    message.total_interest.CopyFrom(wire.money(decision.total_interest_fen))
    message.cover.CopyFrom(
        finance_pb2.CoverResult(
            worst_month=decision.worst_month, worst_ratio=wire.decimal(decision.worst_ratio)
        )
    )
