"""Wallets at the SIMULATED e-CNY operator, and the conditions under which they pay."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from services.kit.ids import name
from services.settlement.payment_model import Payment, Rail

RELEASE_AHEAD_MAX = timedelta(days=400)  # a hold that lasts longer is a deposit, which has accounts

# ISO 20022's external codes of status reasons, and one of the operator's own.
PAYEE_REFUSED = "AG01"  # transaction forbidden on this account
PURPOSE_REFUSED = "FF07"  # invalid purpose
EXPIRED = "RELEASE-EXPIRED"


@dataclass(frozen=True, slots=True)
class EcnyWallet:
    """The money of a wallet account, under conditions.

    Attributes:
        account: The number of the wallet account.
        payees: Whom it may pay, as payments name them; empty: anybody.
        purposes: What for, ISO 20022 external purpose codes; empty: anything.
    """

    id: UUID
    version: int
    account: int
    party: UUID
    payees: tuple[str, ...]
    purposes: tuple[str, ...]
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "ecnyWallets/<uuid>"."""
        return name("ecnyWallets", self.id)

    def refusal(self, *, payee: str, purpose: str) -> str:
        """Return the code of why it does not pay, or "" where its conditions are met."""
        if self.payees and payee not in self.payees:
            return PAYEE_REFUSED
        if self.purposes and purpose not in self.purposes:
            return PURPOSE_REFUSED
        return ""


def condition_problem(
    rail: Rail,
    *,
    has_wallet: bool,
    purpose: str,
    release_event: str,
    release_deadline: datetime | None,
    now: datetime,
) -> tuple[str, str] | None:
    """Return which field of a payment's conditions is wrong and why, or None."""
    if has_wallet and rail is not Rail.ECNY_SIMULATOR:
        return "ecny_wallet", f"the rail {rail} takes none"
    for field, text in (("purpose", purpose), ("release_event", release_event)):
        if text and not has_wallet:
            return field, "needs an e-CNY wallet"
    if (release_deadline is not None) != bool(release_event):
        return "release_deadline", "stands with a release event, and only with one"
    if release_deadline is not None and not now < release_deadline <= now + RELEASE_AHEAD_MAX:
        return "release_deadline", f"must be within {RELEASE_AHEAD_MAX.days} days from now"
    return None


def expiry_words(payment: Payment) -> str:
    """Return what is told of a payment whose release event did not happen in time."""
    assert payment.release_deadline is not None
    return (
        f"{EXPIRED} simulator: {payment.release_event} had not happened by "
        f"{payment.release_deadline:%Y-%m-%d %H:%M} UTC"
    )
