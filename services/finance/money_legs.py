"""The transfers of finance's flows (domain page, section 3.8)."""

from uuid import UUID

from ironloop.settlement.v1 import settlement_pb2

from services.finance.clients import Leg
from services.finance.draw_model import Draw
from services.finmath.allocation import Parts
from services.kit.ids import fact_id
from services.kit.sagas import Saga

# Tried every few seconds while the funder's wallet lacks what it has just received.
EXCESS_ATTEMPTS_MAX = 500


def payout_leg(saga: Saga, draw: Draw, *, funder_wallet: int, borrower_wallet: int) -> Leg:
    """Return the leg that pays a draw out: funder to borrower."""
    return Leg(
        id=saga.fact_id("draw"),
        payer=draw.funder,
        debit_account=funder_wallet,
        credit_account=borrower_wallet,
        amount_fen=draw.principal_fen,
        code=settlement_pb2.TRANSFER_CODE_DRAW,
        purpose=draw.name,
        memo="draw on a facility",
    )


def repayment_legs(
    saga: Saga, draw: Draw, paid: Parts, *, borrower_wallet: int, funder_wallet: int
) -> list[Leg]:
    """Return the legs that repay a draw, borrower to funder: penalty, interest, principal."""
    parts = [
        ("penalty", paid.penalty_fen, settlement_pb2.TRANSFER_CODE_DRAW_FEE),
        ("interest", paid.interest_fen, settlement_pb2.TRANSFER_CODE_DRAW_INTEREST),
        ("principal", paid.principal_fen, settlement_pb2.TRANSFER_CODE_DRAW_REPAYMENT),
    ]
    return [
        Leg(
            id=saga.fact_id(part),
            payer=draw.borrower,
            debit_account=borrower_wallet,
            credit_account=funder_wallet,
            amount_fen=amount_fen,
            code=code,
            purpose=draw.name,
            memo=f"{part} of a draw",
        )
        for part, amount_fen, code in parts
        if amount_fen
    ]


def excess_ids(saga: Saga) -> list[UUID]:
    """Return the ids of the attempts to give an excess back, the first one first."""
    return [
        fact_id(saga.create_time, saga.name, "excess", attempt=attempt)
        for attempt in range(1, EXCESS_ATTEMPTS_MAX + 1)
    ]


def excess_leg(
    transfer_id: UUID, draw: Draw, excess_fen: int, *, funder_wallet: int, borrower_wallet: int
) -> Leg:
    """Return the leg that gives back what was paid above a draw's debt."""
    return Leg(
        id=transfer_id,
        payer=draw.funder,
        debit_account=funder_wallet,
        credit_account=borrower_wallet,
        amount_fen=excess_fen,
        code=settlement_pb2.TRANSFER_CODE_DRAW_REPAYMENT,
        purpose=draw.name,
        memo="paid above the debt, given back",
    )


def price_leg(
    saga: Saga, factoring: str, price_fen: int, *, funder: str, wallets: tuple[int, int]
) -> Leg:
    """Return J4's first leg: funder to lessor, the price of sold instalments."""
    funder_wallet, lessor_wallet = wallets
    return Leg(
        id=saga.fact_id("price"),
        payer=funder,
        debit_account=funder_wallet,
        credit_account=lessor_wallet,
        amount_fen=price_fen,
        code=settlement_pb2.TRANSFER_CODE_FACTORING,
        purpose=factoring,
        memo="price of sold instalments",
    )


def posting_id(saga: Saga) -> UUID:
    """Return the `txn` that the legs of a saga's posting share."""
    return saga.fact_id("posting")
