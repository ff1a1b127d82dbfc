"""The transfers of finance's flows (domain page, section 3.8)."""

from collections.abc import Mapping
from typing import TypeAlias
from uuid import UUID

from ironloop.settlement.v1 import settlement_pb2

from services.finance.draw_model import Draw
from services.finance.receivable_model import Factoring
from services.finmath.allocation import Parts
from services.kit.postings import Leg
from services.kit.sagas import Saga

Wallets: TypeAlias = Mapping[str, str]  # the account of each party


def payout_leg(saga: Saga, draw: Draw, wallets: Wallets) -> Leg:
    """Return the leg that pays a draw out: funder to borrower."""
    return Leg(
        id=saga.fact_id("draw"),
        payer=draw.funder,
        debit=wallets[draw.funder],
        credit=wallets[draw.borrower],
        amount_fen=draw.principal_fen,
        code=settlement_pb2.TRANSFER_CODE_DRAW,
        purpose=draw.name,
        memo="draw on a facility",
    )


def repayment_legs(saga: Saga, draw: Draw, paid: Parts, wallets: Wallets) -> list[Leg]:
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
            debit=wallets[draw.borrower],
            credit=wallets[draw.funder],
            amount_fen=amount_fen,
            code=code,
            purpose=draw.name,
            memo=f"{part} of a draw",
        )
        for part, amount_fen, code in parts
    ]


def excess_id(saga: Saga, attempt: int) -> UUID:
    """Return the transfer's id of an attempt to give an excess back, counted from 1."""
    return saga.fact_id("excess", attempt=attempt)


def excess_leg(transfer_id: UUID, draw: Draw, excess_fen: int, wallets: Wallets) -> Leg:
    """Return the leg that gives back what was paid above a draw's debt."""
    return Leg(
        id=transfer_id,
        payer=draw.funder,
        debit=wallets[draw.funder],
        credit=wallets[draw.borrower],
        amount_fen=excess_fen,
        code=settlement_pb2.TRANSFER_CODE_DRAW_REPAYMENT,
        purpose=draw.name,
        memo="paid above the debt, given back",
    )


def price_leg(saga: Saga, factoring: Factoring, wallets: Wallets) -> Leg:
    """Return J4's first leg: funder to lessor, the price of sold instalments."""
    return Leg(
        id=saga.fact_id("price"),
        payer=factoring.funder,
        debit=wallets[factoring.funder],
        credit=wallets[factoring.lessor],
        amount_fen=factoring.price_fen,
        code=settlement_pb2.TRANSFER_CODE_FACTORING,
        purpose=factoring.name,
        memo="price of sold instalments",
    )


def posting_id(saga: Saga) -> UUID:
    """Return the `txn` that the legs of a saga's posting share."""
    return saga.fact_id("posting")
