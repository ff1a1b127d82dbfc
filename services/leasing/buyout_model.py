"""An early buyout: what it costs on a day, and who receives it (WE-4 of the domain page)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from services.finmath.payoff import quote_payoff
from services.kit.calendar import CHINA
from services.leasing.instalment_model import OPEN, Instalment, InstalmentState
from services.leasing.model import BuyoutQuote, Lease


@dataclass(frozen=True, slots=True)
class Share:
    """What one owner receives of a buyout, in fen, and which instalments that settles."""

    owner: str
    amount_fen: int
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What a buyout settles.

    Attributes:
        due: Instalments due by its day, the penalty accrued to it; paid whole.
        coming: Those after it; their principal is paid, their interest is not owed.
    """

    quote: BuyoutQuote
    due: tuple[Instalment, ...]
    coming: tuple[Instalment, ...]


def settle(
    lease: Lease, instalments: Sequence[Instalment], *, as_of: date, fee_rate: Decimal | None = None
) -> Settlement:
    """Return what a buyout on a day settles, of all instalments of an active lease by number.

    Args:
        fee_rate: Share of principal; None for the buyout's own, 0 for the debt of a default.
    """
    is_open = [instalment for instalment in instalments if instalment.state in OPEN]
    due = tuple(item.accrued_to(as_of) for item in is_open if item.due_on <= as_of)
    coming = tuple(item for item in is_open if item.due_on > as_of)
    fallen_due = [item for item in instalments if item.due_on <= as_of]
    payoff = quote_payoff(
        coming[0].balance_fen + coming[0].due.principal_fen
        if coming
        else instalments[-1].balance_fen,
        lease.terms.nominal_rate,
        interest_from=fallen_due[-1].due_on if fallen_due else lease.started_on,
        as_of=as_of,
        day_count=lease.terms.day_count,
        fee_rate=lease.terms.buyout_fee_rate if fee_rate is None else fee_rate,
    )
    quote = BuyoutQuote(
        as_of=as_of,
        due_fen=sum(item.owed.total_fen for item in due),
        principal_fen=payoff.principal_fen,
        interest_fen=payoff.interest_fen,
        fee_fen=payoff.fee_fen,
    )
    return Settlement(quote, due, coming)


def last_quotable_day(lease: Lease, instalments: Sequence[Instalment]) -> date:
    """Return the last day for which a buyout's total is known today.

    It is the day on which the next instalment is payable: beyond it a penalty depends on whether
    that is paid in time. Where none is to come it is the business day on which the lease matures.
    """
    coming = (item for item in instalments if item.state is InstalmentState.SCHEDULED)
    matures_on = CHINA.adjust_following(lease.matures_on)
    return min((item.payable_on for item in coming), default=matures_on)


def shares_of(lease: Lease, settlement: Settlement) -> list[Share]:
    """Return who receives what; the sum is the quote's total.

    An assignee gets what is due on its instalments and the principal of those to come, the lessor
    the rest: its own instalments, the residual, the interest to the day, and the fee.
    """
    amounts: dict[str, int] = {lease.terms.lessor: 0}
    numbers: dict[str, list[int]] = {lease.terms.lessor: []}
    owed = [(item, item.owed.total_fen) for item in settlement.due]
    owed += [(item, item.due.principal_fen) for item in settlement.coming]
    for item, amount_fen in owed:
        amounts[item.owner] = amounts.get(item.owner, 0) + amount_fen
        numbers.setdefault(item.owner, []).append(item.number)
    amounts[lease.terms.lessor] += settlement.quote.total_fen - sum(amounts.values())
    return [Share(owner, amounts[owner], tuple(numbers[owner])) for owner in amounts]
