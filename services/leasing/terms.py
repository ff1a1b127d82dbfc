"""The terms of a lease: what is quoted, hashed and signed."""

import hashlib
import json
from dataclasses import asdict, dataclass
from decimal import Decimal
from uuid import UUID

from services.finmath.day_count import DayCount
from services.finmath.schedule import Schedule, annuity_schedule
from services.kit.ids import name


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """What both sides sign; amounts in fen, rates as fractions of one.

    Attributes:
        machine: "machines/<uuid>"; `machine_number` is its PIN, else its serial number.
        financed_fen: The machine's price.
        residual_fen: What the machine may be bought for at maturity, of which the lessee
            guarantees `guaranteed_residual_fen`.
        nominal_rate: Annual; a month bears a twelfth of it.
    """

    programme_id: UUID
    programme_revision: int
    machine: str
    machine_number: str
    lessor: str
    lessee: str
    financed_fen: int
    residual_fen: int
    guaranteed_residual_fen: int
    term_months: int
    in_advance: bool
    nominal_rate: Decimal
    day_count: DayCount
    fee_fen: int
    deposit_fen: int
    hours_per_year: int
    excess_hour_rate_fen: int
    buyout_fee_rate: Decimal
    penalty_daily_rate: Decimal
    penalty_cap_rate: Decimal
    extension_months_max: int
    extension_residual_rate: Decimal

    @property
    def programme(self) -> str:
        """Return the name of the programme, "leaseProgrammes/<uuid>"."""
        return name("leaseProgrammes", self.programme_id)

    def schedule(self) -> Schedule:
        """Return the payments of the term."""
        return annuity_schedule(
            self.financed_fen,
            self.nominal_rate,
            months=self.term_months,
            residual_fen=self.residual_fen,
            in_advance=self.in_advance,
        )


def canonical_terms(terms: LeaseTerms) -> str:
    """Return the terms as canonical JSON (RFC 8785): sorted keys, no blanks, rates as text.

    The same terms always give the same text, so its hash says what was signed.
    """
    plain = {key: _plain(value) for key, value in asdict(terms).items() if key != "programme_id"}
    return json.dumps(
        plain | {"programme": terms.programme},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )


def terms_sha256(canonical: str) -> str:
    """Return the SHA-256 of canonical terms, 64 hexadecimal digits."""
    return hashlib.sha256(canonical.encode()).hexdigest()


def _plain(value: str | int | Decimal | UUID) -> str | int:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return value if isinstance(value, int) else str(value)
