"""The expected credit loss of a draw (WE-9): IFRS 9 stages, loss given default as in Basel."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from math import ceil

from services.finance.draw_model import (
    Draw,
    DrawState,
    Instalment,
    bucket_of,
    days_past_due,
    stage_of,
)
from services.finance.policy_model import Parameter, Terms
from services.finmath.credit import LgdPolicy, expected_credit_loss, secured_lgd
from services.finmath.schedule import MONTHS_PER_YEAR

PROBABILITY_PLACES = 6
STAGE_IN_DEFAULT = 3


@dataclass(frozen=True, slots=True)
class ExpectedLoss:
    """A draw's expected loss and what it comes from; amounts in fen.

    Attributes:
        default_probability: Within twelve months in stage 1, to maturity in stage 2, 1 in stage 3.
    """

    stage: int
    bucket: int
    exposure_fen: int
    collateral_fen: int
    secured_fen: int
    loss_given_default: Decimal
    default_probability: Decimal
    expected_loss_fen: int
    policy_version: str


def expect_loss(
    draw: Draw, lines: Sequence[Instalment], *, terms: Terms, today: date
) -> ExpectedLoss:
    """Return the expected loss of an outstanding draw as of a day, not discounted."""
    days = days_past_due(lines, today)
    stage = STAGE_IN_DEFAULT if draw.state is DrawState.DEFAULTED else stage_of(days)
    collateral_fen = 0
    if draw.secured:
        # What ranks first takes its full amount of what is left after the haircut.
        left = 1 - terms[Parameter.LOSS_HAIRCUT]
        taken_fen = ceil(draw.senior_fen / left) if left else draw.olv_median_fen
        collateral_fen = max(0, draw.olv_median_fen - taken_fen)
    loss = secured_lgd(
        draw.outstanding_fen,
        collateral_fen,
        LgdPolicy(
            secured=terms[Parameter.LOSS_SECURED],
            unsecured=terms[Parameter.LOSS_UNSECURED],
            haircut=terms[Parameter.LOSS_HAIRCUT],
        ),
    )
    probability = _probability(draw, terms[Parameter.DEFAULT_PROBABILITY], stage, today)
    return ExpectedLoss(
        stage=stage,
        bucket=bucket_of(days),
        exposure_fen=draw.outstanding_fen,
        collateral_fen=collateral_fen,
        secured_fen=loss.secured_fen,
        loss_given_default=loss.lgd,
        default_probability=probability,
        expected_loss_fen=expected_credit_loss(
            draw.outstanding_fen, pd=probability, lgd=loss.exact
        ),
        policy_version=terms.version,
    )


def _probability(draw: Draw, within_a_year: Decimal, stage: int, today: date) -> Decimal:
    """Return the probability that a stage asks for; years survive independently of each other."""
    if stage == 1:
        return within_a_year
    if stage == 3 or draw.maturity_on is None:
        return Decimal(1)
    months = (draw.maturity_on.year - today.year) * 12 + draw.maturity_on.month - today.month
    years = max(1, -(-months // MONTHS_PER_YEAR))
    return round(1 - (1 - within_a_year) ** years, PROBABILITY_PLACES)
