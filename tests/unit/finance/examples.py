"""The worked examples of the domain page as arguments."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

from services.finance.draw_model import CollateralState, Draw, DrawState, Instalment, make_schedule
from services.finance.offer_model import Appraisal, MachineFacts, Wish
from services.finance.policy_model import Parameter, Terms
from services.finmath.day_count import DayCount
from services.kit.calendar import CHINA

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
TODAY = date(2026, 3, 2)
RATE = Decimal("0.066")
ID = UUID(int=7)

# The starting values that the first migration writes (domain page, section 3.11).
TERMS = Terms(
    "2026.1",
    {
        Parameter.HAIRCUT_A: Decimal("0.10"),
        Parameter.HAIRCUT_B: Decimal("0.15"),
        Parameter.HAIRCUT_C: Decimal("0.25"),
        Parameter.LTV_CAP_FMV: Decimal("0.65"),
        Parameter.LTV_CAP_OLV: Decimal("0.85"),
        Parameter.LTV_CAP_FLV: Decimal("0.95"),
        Parameter.PRICE_CAP: Decimal("0.80"),
        Parameter.WATCH_LINE: Decimal("0.87"),
        Parameter.MAINTENANCE_CAP: Decimal("0.90"),
        Parameter.COVER_MAX: Decimal("1.00"),
        Parameter.AGE_AT_MATURITY_YEARS_MAX: Decimal(12),
        Parameter.TERM_MONTHS_MAX: Decimal(60),
        Parameter.DEFAULT_PROBABILITY: Decimal("0.02"),
        Parameter.LOSS_SECURED: Decimal("0.25"),
        Parameter.LOSS_UNSECURED: Decimal("0.40"),
        Parameter.LOSS_HAIRCUT: Decimal("0.40"),
        Parameter.HAIRCUT_DRIFT: Decimal("0.05"),
    },
    {"HYDRAULIC_EXCAVATOR": 15_000, "*": 12_000},
)

WISH = Wish(
    machine="machines/m",
    purchase_price_fen=780_000_00,
    requested_fen=None,
    term_months=36,
    balloon_fen=0,
    hours_per_year=2_000,
    purchase_money=True,
)

FACTS = MachineFacts(
    machine="machines/m",
    title_holder="parties/b",
    equipment_class="HYDRAULIC_EXCAVATOR",
    build_year=2023,
    hours_meter=Decimal(4_000),
    liens=(),
)

# WE-7: FMV 800,000, OLV q10 640,000.
APPRAISAL = Appraisal(
    valuation="valuations/v",
    record_sha256="0" * 64,
    state="ISSUED",
    grade="B",
    fmv_median_fen=800_000_00,
    fmv_q10_fen=730_000_00,
    olv_median_fen=700_000_00,
    olv_q10_fen=640_000_00,
    flv_q10_fen=480_000_00,
    expire_at=datetime(2026, 4, 1, tzinfo=UTC),
)


def falling_curve(months: int) -> list[int]:
    """Return WE-8's FLV q10(t) = 480,000 × 0.985^t in fen, rounded down."""
    return [int(Decimal(480_000_00) * Decimal("0.985") ** month) for month in range(months + 1)]


def draw(
    *,
    principal_fen: int = 462_400_00,
    balloon_fen: int = 0,
    term_months: int = 36,
    day_count: DayCount = DayCount.ACT_365F,
    rate: Decimal = RATE,
    start_on: date = TODAY,
) -> tuple[Draw, Sequence[Instalment]]:
    """Return a draw that was paid out, and its schedule."""
    made = Draw(
        id=ID,
        version=1,
        event_sequence=0,
        state=DrawState.ACTIVE,
        offer_id=ID,
        facility_id=ID,
        funder="parties/f",
        borrower="parties/b",
        machine="machines/m",
        principal_fen=principal_fen,
        balloon_fen=balloon_fen,
        nominal_rate=rate,
        day_count=day_count,
        term_months=term_months,
        start_on=start_on,
        maturity_on=None,
        outstanding_fen=principal_fen,
        lien="liens/l",
        registry_no="",
        transfer_id="",
        policy_version="2026.1",
        valuation="valuations/v",
        haircut=Decimal("0.15"),
        collateral_fen=544_000_00,
        olv_median_fen=700_000_00,
        watch_line=Decimal("0.87"),
        maintenance_cap=Decimal("0.90"),
        penalty_daily_rate=Decimal("0.0005"),
        penalty_cap=Decimal("0.2"),
        collateral_state=CollateralState.COMPLIANT,
        cure_by=None,
        overdue_bucket=0,
        calendar_version=CHINA.version,
        held_by="",
        create_time=NOW,
        update_time=NOW,
    )
    lines = make_schedule(
        principal_fen,
        rate,
        balloon_fen=balloon_fen,
        start_on=start_on,
        numbers=range(1, term_months + 1),
        balloon_number=term_months + 1,
        calendar=CHINA,
    )
    return replace(made, maturity_on=lines[-1].contract_on), lines
