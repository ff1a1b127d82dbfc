"""What procurement refuses."""

from datetime import date, datetime

from services.kit.amounts import yuan
from services.kit.errors import (
    AlreadyExists,
    InvalidArgument,
    PermissionDenied,
    PreconditionFailed,
)


class SellersDiffer(PreconditionFailed):
    """An order has one seller."""

    reason = "SELLERS_DIFFER"

    def __init__(self, sellers: list[str]) -> None:
        super().__init__(
            f"an order has one seller; these listings are of {', '.join(sellers)}",
            sellers=",".join(sellers),
        )


class PriceChanged(PreconditionFailed):
    """The total is not the one that the buyer saw."""

    reason = "PRICE_CHANGED"

    def __init__(self, expected_fen: int, total_fen: int) -> None:
        super().__init__(
            f"the total is {yuan(total_fen)}, not {yuan(expected_fen)}; read the listings again",
            total_fen=str(total_fen),
        )


class TotalTooLarge(PreconditionFailed):
    """An order's total has a limit."""

    reason = "TOTAL_TOO_LARGE"

    def __init__(self, total_fen: int, limit_fen: int) -> None:
        super().__init__(f"the total {yuan(total_fen)} exceeds the limit of {yuan(limit_fen)}")


class DisposalSoldAlone(PreconditionFailed):
    """The price of a disposal is distributed by its own claims, so it has an order of its own."""

    reason = "DISPOSAL_SOLD_ALONE"

    def __init__(self, disposal: str) -> None:
        super().__init__(
            f"the machine of {disposal} is ordered alone: its price is distributed by its claims",
            subject=disposal,
        )


class MachineInOrder(PreconditionFailed):
    """A machine is in one live order at a time."""

    reason = "MACHINE_IN_ORDER"

    def __init__(self, machines: list[str]) -> None:
        super().__init__(
            f"{', '.join(machines)}: in another live order", subject=machines[0] if machines else ""
        )


class NotAPartyToThis(PermissionDenied):
    """The command is the other side's."""

    reason = "NOT_A_PARTY_TO_THIS"

    def __init__(self, command: str, *, side: str, order: str) -> None:
        super().__init__(f"only the {side} of {order} may {command} it", side=side, order=order)


class DisputeWindowClosed(PreconditionFailed):
    """The acceptance window has passed."""

    reason = "DISPUTE_WINDOW_CLOSED"

    def __init__(self, order: str, deadline_at: datetime) -> None:
        super().__init__(
            f"{order} could be disputed until {deadline_at.isoformat()}", subject=order
        )


class NotYoursToDecide(PermissionDenied):
    """A side may give up its own position in a dispute, not the other's."""

    reason = "NOT_YOURS_TO_DECIDE"

    def __init__(self, side: str) -> None:
        may = {
            "seller": "grant the claimed allowance or more, or take back what was claimed back",
            "buyer": "drop the claim with an allowance of zero",
        }[side]
        super().__init__(f"the {side} may only {may}; the operator decides freely", side=side)


class LienWithoutPayoff(PreconditionFailed):
    """A lien on a machine is not covered by any payoff that finance quotes."""

    reason = "LIEN_WITHOUT_PAYOFF"

    def __init__(self, machine: str, lien: str) -> None:
        super().__init__(f"{lien} on {machine} has no payoff", subject=machine, lien=lien)


class PayoffsExceedPrice(PreconditionFailed):
    """What the lien holders are owed is more than the order brings."""

    reason = "PAYOFFS_EXCEED_PRICE"

    def __init__(self, payoffs_fen: int, limit_fen: int) -> None:
        super().__init__(
            f"payoffs of {yuan(payoffs_fen)} exceed the {yuan(limit_fen)} left after the fee",
            payoffs_fen=str(payoffs_fen),
            limit_fen=str(limit_fen),
        )


class NotTheSellers(PreconditionFailed):
    """The seller does not hold the title."""

    reason = "NOT_THE_SELLERS"

    def __init__(self, machine: str, holder: str) -> None:
        super().__init__(f"the title of {machine} is held by {holder}", subject=machine)


class DatesOutOfOrder(InvalidArgument):
    """A pool's or a quote's date lies outside its limits."""

    def __init__(self, field: str, *, first: date, last: date) -> None:
        super().__init__(field, f"must lie in {first} to {last}")


class NotTheOrganiser(PermissionDenied):
    """The command is the organiser's."""

    reason = "NOT_THE_ORGANISER"

    def __init__(self, command: str, *, pool: str) -> None:
        super().__init__(f"only the organiser of {pool} may {command} it", pool=pool)


class AlreadyMember(AlreadyExists):
    """A buyer joins a pool once; to change the quantity it leaves and joins again."""

    reason = "ALREADY_MEMBER"

    def __init__(self, pool: str) -> None:
        super().__init__(f"you are a member of {pool}; leave it to join with another quantity")


class PoolTooLarge(PreconditionFailed):
    """A pool's quantity has a limit."""

    reason = "POOL_TOO_LARGE"

    def __init__(self, quantity: int, limit: int) -> None:
        super().__init__(f"the pool would hold {quantity} machines; the limit is {limit}")


class PoolNotReady(PreconditionFailed):
    """Neither is the target reached nor has the deadline passed."""

    reason = "POOL_NOT_READY"

    def __init__(self, pool: str, quantity: int, target: int, join_until: date) -> None:
        super().__init__(
            f"{pool} holds {quantity} of {target} machines and is open until {join_until}",
            subject=pool,
        )


class QuotingClosed(PreconditionFailed):
    """The last day for quotes has passed."""

    reason = "QUOTING_CLOSED"

    def __init__(self, pool: str, last: date) -> None:
        super().__init__(f"{pool} took quotes until {last}", subject=pool)


class QuotingOpen(PreconditionFailed):
    """Sellers may still quote, so the award must wait."""

    reason = "QUOTING_OPEN"

    def __init__(self, pool: str, last: date) -> None:
        super().__init__(f"{pool} takes quotes until {last}; award it after that", subject=pool)


class OwnPool(PreconditionFailed):
    """A buyer of a pool cannot be its seller."""

    reason = "OWN_POOL"

    def __init__(self, pool: str) -> None:
        super().__init__(f"you are organiser or member of {pool}", subject=pool)


class QuoteExists(AlreadyExists):
    """A seller has one quote in a pool."""

    reason = "QUOTE_EXISTS"

    def __init__(self, pool: str) -> None:
        super().__init__(f"you have a quote in {pool}; withdraw it to make another")


class MachineNotOfferable(PreconditionFailed):
    """A machine cannot be offered to a pool."""

    reason = "MACHINE_NOT_OFFERABLE"

    def __init__(self, machine: str, why: str) -> None:
        super().__init__(f"{machine} {why}", subject=machine)


class NoValidQuote(PreconditionFailed):
    """No quote can win today."""

    reason = "NO_VALID_QUOTE"

    def __init__(self, pool: str, on: date) -> None:
        super().__init__(f"{pool} has no quote that is valid on {on}", subject=pool)


class QuoteGone(PreconditionFailed):
    """The quote was taken back while it was being awarded."""

    reason = "QUOTE_GONE"

    def __init__(self, quote: str) -> None:
        super().__init__(f"{quote} is not offered any more", subject=quote)
