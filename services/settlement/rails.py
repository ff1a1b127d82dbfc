"""Rails: who takes a submitted payment over, and how they tell what became of it.

An adapter of a real rail submits over its own connection and calls `notice` when it hears back;
the e-CNY one here is a SIMULATOR on the domain clock: no digital renminbi moves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from services.kit.transaction import Transaction
from services.settlement.payment_model import Payment, Rail

NOTICE_TIMER = "rail_notice"
SIMULATED_DELAY = timedelta(minutes=5)
SIMULATED_DELAY_SLOW = timedelta(days=2)
_PERCENT = 100


class NoticeKind(StrEnum):
    """What a rail says of a payment; each is a command of the payment's lifecycle."""

    SETTLED = "settle"
    REJECTED = "reject"
    RETURNED = "return"


@dataclass(frozen=True, slots=True)
class RailNotice:
    """What a rail will say, and how long after the submission."""

    kind: NoticeKind
    after: timedelta
    reason: str = ""


class RailAdapter(Protocol):
    """A rail.

    Attributes:
        is_simulator: Whether no money moves outside this ledger.
    """

    is_simulator: bool

    async def submit(self, tx: Transaction, payment: Payment, /) -> Sequence[RailNotice]:
        """Take a payment over in the transaction that submits it; return what is known at once."""
        ...


class InternalRail:
    """From wallet to wallet: settled as it is submitted."""

    is_simulator = False

    async def submit(self, _tx: Transaction, _payment: Payment, /) -> Sequence[RailNotice]:
        """Settle at once."""
        return [RailNotice(NoticeKind.SETTLED, timedelta(0))]


class BankRail:
    """The licensed bank: payments leave with the next file, statements tell what became of them."""

    is_simulator = False

    async def submit(self, _tx: Transaction, _payment: Payment, /) -> Sequence[RailNotice]:
        """Leave the payment for the next file."""
        return []


class EcnySimulator:
    """SIMULATOR of an e-CNY operator that delays, rejects, returns and repeats itself.

    The receiver's wallet says what happens: SIM-REJECT, SIM-RETURN, SIM-TWICE and SIM-SLOW at its
    beginning; any other wallet meets each of them in a few of a hundred cases, by the payment's
    own id, so that a run can be repeated.
    """

    is_simulator = True

    async def submit(self, tx: Transaction, payment: Payment, /) -> Sequence[RailNotice]:
        """Set a timer for each notice that will come."""
        for place, notice in enumerate(simulated_notices(payment)):
            await tx.set_timer(
                NOTICE_TIMER,
                f"{payment.name}#{place}",
                due_at=tx.now + notice.after,
                payload={
                    "payment": str(payment.id),
                    "command": notice.kind.value,
                    "reason": notice.reason,
                },
            )
        return []


def simulated_notices(payment: Payment) -> list[RailNotice]:
    """Return what the simulator will say of a payment, always the same for one."""
    settled = RailNotice(NoticeKind.SETTLED, SIMULATED_DELAY)
    stories = {
        "SIM-REJECT": [
            RailNotice(NoticeKind.REJECTED, SIMULATED_DELAY, "simulator: wallet unknown")
        ],
        "SIM-RETURN": [
            settled,
            RailNotice(NoticeKind.RETURNED, 2 * SIMULATED_DELAY, "simulator: wallet closed"),
        ],
        "SIM-TWICE": [settled, RailNotice(NoticeKind.SETTLED, 2 * SIMULATED_DELAY)],
        "SIM-SLOW": [RailNotice(NoticeKind.SETTLED, SIMULATED_DELAY_SLOW)],
    }
    for beginning, story in stories.items():
        if payment.creditor_account.startswith(beginning):
            return story
    dice = payment.id.int % _PERCENT
    return list(stories.values())[dice] if dice < len(stories) else [settled]


RAILS: Mapping[Rail, RailAdapter] = {
    Rail.INTERNAL: InternalRail(),
    Rail.BANK: BankRail(),
    Rail.ECNY_SIMULATOR: EcnySimulator(),
}
