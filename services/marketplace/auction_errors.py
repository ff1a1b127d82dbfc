"""What marketplace refuses around auctions."""

from datetime import datetime
from decimal import Decimal

from services.kit.amounts import yuan
from services.kit.errors import AlreadyExists, InvalidArgument, PreconditionFailed


class InvalidDeposit(InvalidArgument):
    """A deposit is a part of the ask, and not more than half of it."""

    def __init__(self, rate: Decimal, limit: Decimal) -> None:
        super().__init__("deposit.rate_of_ask", f"must lie above 0 and at most {limit}, not {rate}")


class BidTooLarge(InvalidArgument):
    """A bid is not above what an order may come to."""

    def __init__(self, amount_fen: int, limit_fen: int) -> None:
        super().__init__("amount", f"must not exceed {yuan(limit_fen)} CNY, not {yuan(amount_fen)}")


class InvalidSteps(InvalidArgument):
    """A table of increments names a bound in each line but the last, each higher than the last."""

    def __init__(self) -> None:
        super().__init__("steps", "must have rising bounds in each line, and none in the last")


class FormatNotAuction(PreconditionFailed):
    """The listing is sold otherwise."""

    reason = "FORMAT_NOT_AUCTION"

    def __init__(self, listing: str) -> None:
        super().__init__(f"{listing} is not of format TIMED_AUCTION", subject=listing)


class AuctionLive(AlreadyExists):
    """A listing has one auction at a time."""

    reason = "AUCTION_LIVE"

    def __init__(self, auction: str) -> None:
        super().__init__(f"{auction} is scheduled or under way for this listing", auction=auction)


class AuctionUnderWay(PreconditionFailed):
    """What bidders rely on cannot be taken away."""

    reason = "AUCTION_UNDER_WAY"

    def __init__(self, auction: str) -> None:
        super().__init__(f"{auction} of this listing is under way", subject=auction)


class AuctionNotOpen(PreconditionFailed):
    """An auction takes bids from its opening on."""

    reason = "AUCTION_NOT_OPEN"

    def __init__(self, auction: str, open_time: datetime) -> None:
        super().__init__(
            f"{auction} opens at {open_time.isoformat()}",
            subject=auction,
            open_time=open_time.isoformat(),
        )


class AuctionOver(PreconditionFailed):
    """An auction takes neither bids nor deposits once its close has come."""

    reason = "AUCTION_OVER"

    def __init__(self, auction: str, close_time: datetime) -> None:
        super().__init__(
            f"{auction} closed at {close_time.isoformat()}",
            subject=auction,
            close_time=close_time.isoformat(),
        )


class BidTooLow(PreconditionFailed):
    """A bid must exceed the highest one by the increment."""

    reason = "BID_TOO_LOW"

    def __init__(self, auction: str, amount_fen: int, *, minimum_fen: int, sequence: int) -> None:
        super().__init__(
            f"{yuan(amount_fen)} CNY is below the least bid of {yuan(minimum_fen)} CNY",
            subject=auction,
            minimum_fen=str(minimum_fen),
            sequence=str(sequence),
        )


class BidderIsSeller(PreconditionFailed):
    """Nobody bids for what is their own."""

    reason = "BIDDER_IS_SELLER"

    def __init__(self, auction: str) -> None:
        super().__init__(f"the bidder is the seller of {auction}", subject=auction)


class DepositMissing(PreconditionFailed):
    """Who bids has its deposit held."""

    reason = "DEPOSIT_MISSING"

    def __init__(self, auction: str, deposit_fen: int) -> None:
        super().__init__(
            f"{auction} needs a deposit of {yuan(deposit_fen)} CNY; place it first",
            subject=auction,
            deposit_fen=str(deposit_fen),
        )


class NoDepositNeeded(PreconditionFailed):
    """The auction takes bids without a deposit."""

    reason = "NO_DEPOSIT_NEEDED"

    def __init__(self, auction: str) -> None:
        super().__init__(f"{auction} needs no deposit", subject=auction)


class BiddersFull(PreconditionFailed):
    """An auction has a limit of bidders."""

    reason = "BIDDERS_FULL"

    def __init__(self, auction: str, limit: int) -> None:
        super().__init__(
            f"{auction} has {limit} bidders, which is the limit", subject=auction, limit=str(limit)
        )


class NotSold(PreconditionFailed):
    """Only a sold auction has a win to settle."""

    reason = "NOT_SOLD"

    def __init__(self, auction: str, state: str) -> None:
        super().__init__(f"{auction} is {state}, not sold", subject=auction, state=state)


class AuctionNotWon(PreconditionFailed):
    """A listing that is auctioned is sold to the winner, once."""

    reason = "AUCTION_NOT_WON"

    def __init__(self, listing: str, buyer: str) -> None:
        super().__init__(f"{buyer} has no open win of {listing}", subject=listing, buyer=buyer)
