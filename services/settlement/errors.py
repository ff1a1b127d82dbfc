"""What settlement refuses. A refused transfer is no error but a result of its own."""

from datetime import datetime

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


class FourEyes(PreconditionFailed):
    """A payment above the limit is authorised by another than the one who instructed it."""

    reason = "FOUR_EYES"

    def __init__(self, payment: str, *, amount_fen: int, above_fen: int) -> None:
        super().__init__(
            f"{payment} of {amount_fen} fen is above {above_fen} fen: another user must "
            "authorise it than the one who instructed it",
            subject=payment,
        )


class InsufficientFunds(PreconditionFailed):
    """The wallet does not hold what is to be paid."""

    reason = "INSUFFICIENT_FUNDS"

    def __init__(self, account: str, *, amount_fen: int) -> None:
        super().__init__(
            f"{account} has less than {amount_fen} fen available",
            subject=account,
            amount_fen=str(amount_fen),
        )


class TransferRefused(PreconditionFailed):
    """The ledger refuses a payment's transfer."""

    reason = "TRANSFER_REFUSED"

    def __init__(self, subject: str, result: str) -> None:
        super().__init__(
            f"the ledger refuses the transfer of {subject}: {result}",
            subject=subject,
            result=result,
        )


class NothingToExport(PreconditionFailed):
    """No payment waits for a file."""

    reason = "NOTHING_TO_EXPORT"

    def __init__(self) -> None:
        super().__init__("no submitted payment of the bank rail waits for a file")


class FileMalformed(InvalidArgument):
    """A file of the bank breaks a rule of structure or totals; nothing of it was taken in."""

    def __init__(self, line: int, element: str, problem: str) -> None:
        super().__init__(
            "xml", f"line {line}, element {element}: {problem}", line=str(line), element=element
        )


class StatementMalformed(FileMalformed):
    """It is a bank statement."""

    reason = "STATEMENT_MALFORMED"


class StatusReportMalformed(FileMalformed):
    """It is a status report."""

    reason = "STATUS_REPORT_MALFORMED"


class PayeeNotAllowed(PreconditionFailed):
    """The e-CNY wallet may not pay this receiver."""

    reason = "ECNY_PAYEE_NOT_ALLOWED"

    def __init__(self, wallet: str, payee: str) -> None:
        super().__init__(
            f"{wallet} pays the receivers on its list only, and {payee} is not on it",
            subject=wallet,
            payee=payee,
        )


class PurposeNotAllowed(PreconditionFailed):
    """The e-CNY wallet may not pay for this."""

    reason = "ECNY_PURPOSE_NOT_ALLOWED"

    def __init__(self, wallet: str, purpose: str) -> None:
        super().__init__(
            f"{wallet} pays for the purposes on its list only, and "
            f"{purpose or 'a payment without a purpose'} is not on it",
            subject=wallet,
            purpose=purpose,
        )


class ReleaseEventDiffers(PreconditionFailed):
    """The payment waits for another event, or for none."""

    reason = "RELEASE_EVENT_DIFFERS"

    def __init__(self, payment: str, awaited: str) -> None:
        super().__init__(
            f"{payment} waits for {awaited or 'no event'}", subject=payment, release_event=awaited
        )


class ReleaseTooLate(PreconditionFailed):
    """The deadline for the payment's release event has passed."""

    reason = "RELEASE_TOO_LATE"

    def __init__(self, payment: str, deadline_at: datetime) -> None:
        super().__init__(
            f"{payment} could be released until {deadline_at:%Y-%m-%d %H:%M} UTC", subject=payment
        )
