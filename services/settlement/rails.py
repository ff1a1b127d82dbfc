"""Rails: who takes a submitted payment over, and how they tell what became of it.

An adapter of a real rail submits over its own connection and hands its answers to
`status_handlers`; the e-CNY one here is a SIMULATOR on the domain clock: no digital renminbi moves.
It answers with pain.002 reports, as the bank does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from services.kit.transaction import Transaction
from services.settlement import ecny_store
from services.settlement.payment_model import Payment, Rail
from services.settlement.status_model import Reason

NOTICE_TIMER = "rail_notice"
SIMULATED_DELAY = timedelta(minutes=5)
SIMULATED_DELAY_SLOW = timedelta(days=2)
_PERCENT = 100
NO_REASON = Reason()


class NoticeKind(StrEnum):
    """What a rail says of a payment: a status of ISO 20022, or that the money came back."""

    PENDING = "PDNG"
    ACCEPTED = "ACSP"
    SETTLED = "ACSC"
    REJECTED = "RJCT"
    RETURNED = "RETURNED"


@dataclass(frozen=True, slots=True)
class RailNotice:
    """What a rail will say, and how long after the submission or the release."""

    kind: NoticeKind
    after: timedelta
    reason: Reason = NO_REASON


class RailAdapter(Protocol):
    """A rail.

    Attributes:
        is_simulator: Whether no money moves outside this ledger.
    """

    is_simulator: bool

    async def submit(self, tx: Transaction, payment: Payment, /) -> bool:
        """Take a payment over in the transaction that submits it; whether it is settled at once."""
        ...


class InternalRail:
    """From wallet to wallet: settled as it is submitted."""

    is_simulator = False

    async def submit(self, _tx: Transaction, _payment: Payment, /) -> bool:
        """Settle at once."""
        return True


class BankRail:
    """The licensed bank: payments leave with the next file, its reports tell the rest."""

    is_simulator = False

    async def submit(self, _tx: Transaction, _payment: Payment, /) -> bool:
        """Leave the payment for the next file."""
        return False


class EcnySimulator:
    """SIMULATOR of an e-CNY operator that delays, rejects, returns and repeats itself.

    A receiver's wallet that begins with SIM-OK, SIM-REJECT, SIM-RETURN, SIM-TWICE or SIM-SLOW gets
    that; of any other, by the payment's id, one in a hundred gets each, and the rest settles. A
    payment from a wallet with conditions is rejected where they are not met, and waits for its
    release event where it names one.
    """

    is_simulator = True

    async def submit(self, tx: Transaction, payment: Payment, /) -> bool:
        """Set a timer for each answer that will come."""
        refusal = ""
        if payment.ecny_wallet is not None:
            wallet = await ecny_store.get_wallet(tx.connection, payment.ecny_wallet)
            refusal = wallet.refusal(payee=payment.creditor_account, purpose=payment.purpose)
        await self._answer(tx, payment, simulated_notices(payment, refusal=refusal))
        return False

    async def release(self, tx: Transaction, payment: Payment) -> None:
        """Go on with a payment that has waited."""
        await self._answer(tx, payment, simulated_notices(payment), first=1)

    async def _answer(
        self, tx: Transaction, payment: Payment, notices: Sequence[RailNotice], *, first: int = 0
    ) -> None:
        for place, notice in enumerate(notices, first):
            await tx.set_timer(
                NOTICE_TIMER,
                f"{payment.name}#{place}",
                due_at=tx.now + notice.after,
                payload={
                    "payment": str(payment.id),
                    "place": place,
                    "kind": notice.kind.value,
                    "code": notice.reason.code,
                    "text": notice.reason.text,
                },
            )


def simulated_notices(payment: Payment, *, refusal: str = "") -> list[RailNotice]:
    """Return what the simulator will say of a payment, always the same for one.

    Args:
        refusal: The code of why its wallet's conditions are not met; "" where they are.
    """
    if refusal:
        reason = Reason(refusal, "simulator: a condition of the wallet is not met")
        return [RailNotice(NoticeKind.REJECTED, SIMULATED_DELAY, reason)]
    if payment.is_waiting:
        reason = Reason("", f"simulator: waits for {payment.release_event}")
        return [RailNotice(NoticeKind.PENDING, SIMULATED_DELAY, reason)]
    settled = RailNotice(NoticeKind.SETTLED, SIMULATED_DELAY)
    unknown = Reason("AC01", "simulator: wallet unknown")
    closed = Reason("AC04", "simulator: wallet closed")
    stories = {
        "SIM-OK": [settled],
        "SIM-REJECT": [RailNotice(NoticeKind.REJECTED, SIMULATED_DELAY, unknown)],
        "SIM-RETURN": [settled, RailNotice(NoticeKind.RETURNED, 2 * SIMULATED_DELAY, closed)],
        "SIM-TWICE": [settled, RailNotice(NoticeKind.SETTLED, 2 * SIMULATED_DELAY)],
        "SIM-SLOW": [
            RailNotice(NoticeKind.ACCEPTED, SIMULATED_DELAY),
            RailNotice(NoticeKind.SETTLED, SIMULATED_DELAY_SLOW),
        ],
    }
    for beginning, story in stories.items():
        if payment.creditor_account.startswith(beginning):
            return story
    dice = payment.id.int % _PERCENT
    return list(stories.values())[dice] if dice < len(stories) else [settled]


ECNY = EcnySimulator()
RAILS: Mapping[Rail, RailAdapter] = {
    Rail.INTERNAL: InternalRail(),
    Rail.BANK: BankRail(),
    Rail.ECNY_SIMULATOR: ECNY,
}
