"""A lease on the worked example's terms, and its instalments, without a database."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any
from uuid import UUID

from services.finmath.day_count import DayCount
from services.finmath.schedule import Row
from services.kit.calendar import CHINA
from services.leasing.instalment_model import Instalment, instalments_of
from services.leasing.model import Lease, LeaseState
from services.leasing.quote import Figures, quote_figures
from services.leasing.terms import LeaseTerms, canonical_terms, terms_sha256

NOW = datetime(2025, 7, 1, 2, tzinfo=UTC)
START = date(2025, 7, 1)
LESSOR, LESSEE, FUNDER = "parties/lessor", "parties/lessee", "parties/funder"

TERMS = LeaseTerms(
    programme_id=UUID("0198a000-0000-7000-8000-000000000001"),
    programme_revision=1,
    machine="machines/0198a000-0000-7000-8000-000000000002",
    machine_number="SY215C12345",
    lessor=LESSOR,
    lessee=LESSEE,
    financed_fen=100_000_000,
    residual_fen=25_000_000,
    guaranteed_residual_fen=15_000_000,
    term_months=36,
    in_advance=False,
    nominal_rate=Decimal("0.06"),
    day_count=DayCount.ACT_365F,
    fee_fen=2_000_000,
    deposit_fen=10_000_000,
    hours_per_year=2_000,
    excess_hour_rate_fen=85_00,
    buyout_fee_rate=Decimal("0.01"),
    penalty_daily_rate=Decimal("0.0005"),
    penalty_cap_rate=Decimal("0.1"),
    extension_months_max=6,
    extension_residual_rate=Decimal("0.5"),
)


def lease(**changes: Any) -> Lease:
    """Return an active lease on the worked example's terms, with changes of the terms."""
    terms = replace(TERMS, **changes)
    canonical = canonical_terms(terms)
    return Lease(
        id=UUID("0198a000-0000-7000-8000-000000000003"),
        version=1,
        event_sequence=2,
        state=LeaseState.ACTIVE,
        saga_id=None,
        terms=terms,
        canonical_terms=canonical,
        terms_sha256=terms_sha256(canonical),
        figures=_figures(terms),
        expire_at=None,
        lessor_signer="users/1",
        lessor_sign_time=NOW,
        lessee_signer="users/2",
        lessee_sign_time=NOW,
        start_on=START,
        maturity_on=date(2028, 7, 1),
        registry_no="ZD-1",
        calendar_version=CHINA.version,
        schedule_revision=1,
        outstanding_fen=terms.financed_fen,
        residual_now_fen=terms.residual_fen,
        deposit_held_fen=terms.deposit_fen,
        buyout=None,
        reason="",
        overdue_count=0,
        create_time=NOW,
        update_time=NOW,
    )


def instalments(of: Lease) -> list[Instalment]:
    """Return the instalments of a lease as activation makes them."""
    return instalments_of(of, _rows(of.terms), start_on=of.started_on, after=0, calendar=CHINA)


@cache
def _rows(terms: LeaseTerms) -> tuple[Row, ...]:
    return terms.schedule().rows


@cache
def _figures(terms: LeaseTerms) -> Figures:
    return quote_figures(terms, direct_cost_fen=0, remaining_life_months=None)
