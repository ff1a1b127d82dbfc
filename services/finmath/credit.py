"""Loss given default of a secured exposure, and expected credit loss (WE-9).

The parameters are those of Basel III final (2023), CRE32, and IFRS 9; both are configuration.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from services.finmath.money import ratio, round_half_up

RATIO_PLACES = 6


@dataclass(frozen=True, slots=True)
class LgdPolicy:
    """Loss given default of the secured and the unsecured part, and the collateral's haircut."""

    secured: Decimal = Decimal("0.25")
    unsecured: Decimal = Decimal("0.40")
    haircut: Decimal = Decimal("0.40")


@dataclass(frozen=True, slots=True)
class SecuredLgd:
    """An exposure split by its collateral, in fen.

    Attributes:
        exact: The blended loss given default, not rounded, for further sums.
    """

    secured_fen: int
    unsecured_fen: int
    exact: Fraction

    @property
    def lgd(self) -> Decimal:
        """The blended loss given default at six decimals."""
        return ratio(self.exact, 1, places=RATIO_PLACES)


def secured_lgd(
    exposure_fen: int,
    collateral_fen: int,
    policy: LgdPolicy = LgdPolicy(),
) -> SecuredLgd:
    """Return LGD* = LGD_S·E_S/E + LGD_U·E_U/E with E_S = min(E, C·(1 - haircut)).

    Raises:
        ValueError: The exposure is not positive, or the collateral negative.
    """
    if exposure_fen <= 0 or collateral_fen < 0:
        raise ValueError("an exposure is above zero and its collateral zero or more")
    covered = min(Fraction(exposure_fen), collateral_fen * (1 - Fraction(policy.haircut)))
    part = covered / exposure_fen
    secured_fen = round_half_up(covered)
    return SecuredLgd(
        secured_fen=secured_fen,
        unsecured_fen=exposure_fen - secured_fen,
        exact=part * Fraction(policy.secured) + (1 - part) * Fraction(policy.unsecured),
    )


def expected_credit_loss(
    exposure_fen: int, *, pd: Decimal, lgd: Fraction, discount_factor: Decimal = Decimal(1)
) -> int:
    """Return PD × LGD × EAD × discount factor, in fen; the LGD is taken unrounded."""
    return round_half_up(exposure_fen * Fraction(pd) * lgd * Fraction(discount_factor))
