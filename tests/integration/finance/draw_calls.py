"""Calls of a draw, as its borrower makes them."""

from datetime import date

from ironloop.finance.v1 import finance_pb2

from infra.local.client import Actor
from services.kit import wire
from tests.integration.finance.lending import (
    finance,
    rid,
)


def day(value: object) -> date:
    """Return a date of the contract as a date."""
    return wire.to_date(value, field="date")


async def repay(actor: Actor, draw: str, amount_fen: int, *, request: str = "") -> finance_pb2.Draw:
    """Repay a part of a draw."""
    return await finance(actor).RepayDraw(
        finance_pb2.RepayDrawRequest(
            request_id=request or rid(), name=draw, amount=wire.money(amount_fen)
        )
    )


async def pay_off(actor: Actor, draw: str) -> finance_pb2.Draw:
    """Pay a draw off."""
    return await finance(actor).PayOffDraw(
        finance_pb2.PayOffDrawRequest(request_id=rid(), name=draw)
    )


async def quote(actor: Actor, draw: str) -> finance_pb2.DrawPayoff:
    """Return what would pay a draw off."""
    return await finance(actor).QuoteDrawPayoff(finance_pb2.QuoteDrawPayoffRequest(name=draw))
