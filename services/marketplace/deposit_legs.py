"""The transfers of bidders' deposits.

A deposit is a hold in the bidder's own wallet, a pending transfer to an account of the auction.
To release it voids the hold. Forfeited, the hold is posted and the seller paid in one chain. Both
go under ids that derive from the deposit, so neither happens twice.
"""

from collections.abc import Sequence
from uuid import UUID

from ironloop.settlement.v1 import settlement_pb2

from services.kit.ids import fact_id
from services.kit.postings import Leg
from services.marketplace.auction_model import Auction
from services.marketplace.deposit_model import BidDeposit

_OF_THE_HOLD = "accounts/0"  # what resolves a hold takes its accounts from it


def hold(
    hold_id: UUID, *, wallet: str, account: str, amount_fen: int, auction: str, bidder: str
) -> Leg:
    """Return the hold of a deposit in a bidder's wallet."""
    return Leg(
        id=hold_id,
        debit=wallet,
        credit=account,
        amount_fen=amount_fen,
        code=settlement_pb2.TRANSFER_CODE_BID_DEPOSIT,
        purpose=auction,
        payer=bidder,
        kind=settlement_pb2.TRANSFER_KIND_PENDING,
    )


def void(leg_id: UUID, *, hold_id: UUID, amount_fen: int, auction: str) -> Leg:
    """Return what takes a hold back."""
    return Leg(
        id=leg_id,
        debit=_OF_THE_HOLD,
        credit=_OF_THE_HOLD,
        amount_fen=amount_fen,
        code=settlement_pb2.TRANSFER_CODE_BID_DEPOSIT_REFUND,
        purpose=auction,
        payer=auction,
        kind=settlement_pb2.TRANSFER_KIND_VOID_PENDING,
        pending_id=hold_id,
    )


def release(deposit: BidDeposit, *, auction: str) -> Leg:
    """Return what makes a deposit the bidder's again."""
    return void(
        fact_id(deposit.create_time, deposit.name, "release"),
        hold_id=deposit.transfer_id,
        amount_fen=deposit.amount_fen,
        auction=auction,
    )


def forfeit(deposit: BidDeposit, auction: Auction, *, seller_wallet: str) -> Sequence[Leg]:
    """Return the chain that makes a deposit the seller's."""
    return (
        Leg(
            id=fact_id(deposit.create_time, deposit.name, "forfeit"),
            debit=_OF_THE_HOLD,
            credit=_OF_THE_HOLD,
            amount_fen=deposit.amount_fen,
            code=settlement_pb2.TRANSFER_CODE_BID_DEPOSIT,
            purpose=auction.name,
            payer=deposit.bidder,
            kind=settlement_pb2.TRANSFER_KIND_POST_PENDING,
            pending_id=deposit.transfer_id,
        ),
        Leg(
            id=fact_id(deposit.create_time, deposit.name, "apply"),
            debit=deposit.account,
            credit=seller_wallet,
            amount_fen=deposit.amount_fen,
            code=settlement_pb2.TRANSFER_CODE_BID_DEPOSIT_APPLIED,
            purpose=auction.name,
            payer=deposit.bidder,
        ),
    )
