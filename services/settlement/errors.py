"""What settlement refuses. A refused transfer is no error but a result of its own."""

from services.kit.errors import Exhausted, InvalidArgument, PreconditionFailed


class LaneFull(Exhausted):
    """More transfers wait for their ledger than may."""

    reason = "LANE_FULL"

    def __init__(self, ledger: int, queued: int, *, queued_max: int) -> None:
        super().__init__(
            f"{queued:,} transfers wait for ledgers/{ledger}, at most {queued_max:,} may",
            retry_after_s=0.2,
            ledger=f"ledgers/{ledger}",
        )


class AccountNotEmpty(PreconditionFailed):
    """An account can be closed only once nothing is in it or held on it."""

    reason = "ACCOUNT_NOT_EMPTY"

    def __init__(self, account: str, *, balance_fen: int, held_fen: int) -> None:
        super().__init__(
            f"{account} cannot be closed with a balance of {balance_fen} fen and {held_fen} fen "
            "held; both must be 0",
            subject=account,
            balance_fen=str(balance_fen),
            held_fen=str(held_fen),
        )


class InstantNotPast(InvalidArgument):
    """A balance is known up to now."""

    reason = "INSTANT_NOT_PAST"

    def __init__(self, field: str) -> None:
        super().__init__(field, "must not lie ahead of domain time")
