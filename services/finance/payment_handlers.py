"""Payments on draws: what is owed, who works on it, and what a payment did."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID

from services.finance import (
    claim_store,
    collateral_handlers,
    draw_events,
    draw_handlers,
    draw_store,
    facility_store,
    offer_handlers,
    top_up_store,
)
from services.finance.draw_model import OUTSTANDING, Draw, DrawState, Instalment
from services.finance.errors import AmountAbovePayoff, DrawNotOutstanding, PayoffShort
from services.finance.lifecycle import DRAW
from services.finance.payment_model import (
    Payment,
    PaymentKind,
    PayoffQuote,
    Repayment,
    quote,
    repay,
)
from services.kit.calendar import CHINA
from services.kit.clock import business_date
from services.kit.connection import Connection
from services.kit.errors import InvalidArgument, NotFound
from services.kit.ids import made_at, name, new_id
from services.kit.principals import Principal
from services.kit.transaction import Transaction

# A transfer that another service posts counts for the day of its saga, which its id carries, if
# it was posted within this many days after; an id that carries another time counts as posted.
PAYOFF_GRACE = timedelta(days=7)


async def get_draw_of_borrower(tx: Transaction, draw_id: UUID, *, borrower: str) -> Draw:
    """Return a borrower's own draw, locked.

    Raises:
        NotFound: The borrower has none such.
    """
    draw = await draw_store.lock_draw_of(tx.connection, draw_id, party=borrower)
    if draw is None or draw.borrower != borrower:
        raise NotFound(name("draws", draw_id))
    return draw


async def quote_draw(
    connection: Connection, draw_id: UUID, *, viewer: Principal, on: date, today: date
) -> tuple[Draw, PayoffQuote]:
    """Return what pays a draw off on a day.

    Raises:
        NotFound, DrawNotOutstanding: There is no such draw, or nothing to pay.
        InvalidArgument: The day is past, or after maturity.
    """
    draw = await draw_store.find_draw(connection, draw_id, viewer=viewer)
    if draw is None:
        raise NotFound(name("draws", draw_id))
    if draw.state not in OUTSTANDING or draw.maturity_on is None:
        raise DrawNotOutstanding(draw.name, draw.state)
    if not today <= on <= max(today, draw.maturity_on):
        raise InvalidArgument("as_of_date", f"must lie in {today} to {draw.maturity_on}, not {on}")
    return draw, quote(draw, await draw_store.list_instalments(connection, draw.id), on)


async def list_payoffs(
    connection: Connection, machine: str, on: date
) -> list[tuple[Draw, PayoffQuote]]:
    """Return the draws that bind a machine, each with what pays it off on a day.

    Raises:
        DrawBusy: One is being paid out, paid, or freed of its lien.
    """
    draws = await draw_store.list_live_draws(connection, machine)
    for draw in draws:
        draw.require_idle()
        draw.require_outstanding()
    schedules = await draw_store.list_instalments_of(connection, [draw.id for draw in draws])
    return [(draw, quote(draw, schedules[draw.id], not_before(draw, on))) for draw in draws]


async def plan_payment(
    tx: Transaction, draw: Draw, *, amount_fen: int | None
) -> tuple[int, Repayment]:
    """Return a payment's amount, and what it will do today; None pays the draw off.

    Raises:
        TransitionRefused, DrawBusy: The draw takes no payment, or not now.
        AmountAbovePayoff: It owes less.
    """
    DRAW.next(draw.state, "pay", subject=draw.name)
    draw.require_idle()
    lines = await draw_store.list_instalments(tx.connection, draw.id)
    payoff_fen = quote(draw, lines, tx.today).total_fen
    if amount_fen is not None and amount_fen > payoff_fen:
        raise AmountAbovePayoff(draw.name, amount_fen, payoff_fen)
    amount = payoff_fen if amount_fen is None else amount_fen
    return amount, repay(draw, lines, amount, on=tx.today, calendar=CHINA)


async def hold(tx: Transaction, draw: Draw, *, by: str) -> Draw:
    """Let a saga work on a draw alone.

    Raises:
        DrawBusy: Another one does.
    """
    draw.require_idle(but=by)
    return await draw_store.update_draw(tx.connection, replace(draw, held_by=by), at=tx.now)


async def let_go(tx: Transaction, draw_id: UUID) -> None:
    """End a saga's hold on a draw."""
    draw = await draw_store.lock_draw(tx.connection, draw_id)
    free = replace(draw, held_by="")
    if draw.state is DrawState.REPAID:
        await top_up_store.end_held(tx.connection, draw.id, at=tx.now)
        free = replace(free, secured=False, top_up_fen=0)
    await draw_store.update_draw(tx.connection, free, at=tx.now)


async def record_payment(
    tx: Transaction,
    draw_id: UUID,
    *,
    kind: PaymentKind,
    amount_fen: int,
    on: date,
    transfer_id: str,
) -> Repayment:
    """Apply money that has arrived to a draw, and close it at the last fen."""
    draw = await draw_store.lock_draw(tx.connection, draw_id)
    lines = await draw_store.list_instalments(tx.connection, draw_id)
    done = repay(draw, lines, amount_fen, on=on, calendar=CHINA)
    payment = Payment(
        id=new_id(),
        draw_id=draw.id,
        kind=kind,
        transfer_id=transfer_id,
        amount_fen=amount_fen,
        penalty_fen=done.paid.penalty_fen,
        interest_fen=done.paid.interest_fen,
        principal_fen=done.paid.principal_fen,
        excess_fen=done.excess_fen,
        business_date=on,
        create_time=tx.now,
    )
    await draw_store.write_instalments(tx.connection, draw.id, done.lines)
    await book(tx, draw, payment, done.lines, is_last=done.is_last)
    return done


async def book(
    tx: Transaction, draw: Draw, payment: Payment, lines: Sequence[Instalment], *, is_last: bool
) -> Draw:
    """Keep a payment whose effect on the schedule is written, and close the draw by the last."""
    step = DRAW.next(draw.state, "repay" if is_last else "pay", subject=draw.name)
    await draw_store.insert_payment(tx.connection, payment)
    paid = await draw_store.update_draw(
        tx.connection,
        replace(
            draw,
            state=step.target,
            outstanding_fen=draw.outstanding_fen - payment.principal_fen,
        ),
        at=tx.now,
        events=1,
    )
    await tx.emit(draw_events.paid(paid, payment))
    paid = await collateral_handlers.assess(tx, paid, lines, cause="a payment")
    paid = await draw_handlers.age(tx, paid, lines)
    if is_last:
        await claim_store.close_claim(tx.connection, paid.id, at=tx.now)
        await offer_handlers.mark_repaid(tx, paid.offer_id, draw=paid.name)
    facility = await facility_store.lock_facility(tx.connection, paid.facility_id)
    await facility_store.update_facility(
        tx.connection, facility.take_back(payment.principal_fen), at=tx.now
    )
    return paid


async def settle(
    tx: Transaction, draw_id: UUID, *, transfer_id: str, amount_fen: int, posted_at: datetime
) -> Repayment:
    """Close a draw by a transfer that another service posted.

    Raises:
        PayoffShort: It is less than the draw owed on its day.
    """
    draw = await draw_store.lock_draw(tx.connection, draw_id)
    lines = await draw_store.list_instalments(tx.connection, draw_id)
    on = not_before(draw, counts_for(UUID(transfer_id), posted_at))
    owed_fen = quote(draw, lines, on).total_fen
    if amount_fen < owed_fen:
        raise PayoffShort(draw.name, paid_fen=amount_fen, owed_fen=owed_fen, on=on)
    return await record_payment(
        tx,
        draw_id,
        kind=PaymentKind.SETTLEMENT,
        amount_fen=amount_fen,
        on=on,
        transfer_id=transfer_id,
    )


def counts_for(transfer_id: UUID, posted_at: datetime) -> date:
    """Return the business date for which another service's transfer counts."""
    fact_on, posted_on = business_date(made_at(transfer_id)), business_date(posted_at)
    return fact_on if posted_on - PAYOFF_GRACE <= fact_on <= posted_on else posted_on


def not_before(draw: Draw, on: date) -> date:
    """Return the day, or the draw's first where it lies before: nothing is owed for less."""
    assert draw.start_on is not None
    return max(on, draw.start_on)
