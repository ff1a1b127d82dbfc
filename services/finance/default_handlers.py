"""A draw in default, and what the disposal of its machine brings; one transaction a command."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from uuid import UUID

from services.finance import (
    claim_store,
    draw_events,
    draw_handlers,
    draw_store,
    offer_handlers,
    payment_handlers,
    shortfall_store,
    top_up_store,
)
from services.finance.claim_model import Claim, ClaimState, Recovery, recover
from services.finance.draw_model import (
    DEFAULT_AFTER_DAYS,
    CollateralState,
    Draw,
    DrawState,
    Instalment,
    days_past_due,
)
from services.finance.errors import NotInDefault, PayoffShort
from services.finance.lifecycle import DRAW
from services.finance.payment_model import Payment, PaymentKind, accelerate
from services.finance.shortfall_model import ShortfallState
from services.kit.errors import NotFound
from services.kit.ids import name, new_id
from services.kit.transaction import Transaction


async def declare_default(tx: Transaction, draw_id: UUID, *, funder: str) -> Draw:
    """Declare a funder's draw in default: what is not paid falls due at once.

    Raises:
        NotFound: The funder has no such draw.
        TransitionRefused: It is not outstanding, or in default already.
        DrawBusy: A payment is on its way.
        NotInDefault: It is neither late enough nor in enforcement.
    """
    draw = await draw_store.lock_draw_of(tx.connection, draw_id, party=funder)
    if draw is None or draw.funder != funder:
        raise NotFound(name("draws", draw_id))
    DRAW.next(draw.state, "declare_default", subject=draw.name)
    draw.require_idle()
    lines = await draw_store.list_instalments(tx.connection, draw.id)
    days = days_past_due(lines, tx.today)
    if days <= DEFAULT_AFTER_DAYS and draw.collateral_state is not CollateralState.ENFORCEMENT:
        raise NotInDefault(draw.name, days)
    due = accelerate(draw, lines, tx.today)
    await draw_store.write_instalments(tx.connection, draw.id, due)
    return await _default(tx, draw, due, command="declare_default")


async def settle_disposal(
    tx: Transaction,
    draw_id: UUID,
    *,
    transfer_ids: Sequence[str],
    amount_fen: int,
    short_fen: int,
    on: date,
) -> Recovery:
    """Close a draw by its share of its machine's disposal; what is left becomes a claim.

    Raises:
        PayoffShort: More is left than was said.
    """
    draw = await draw_store.lock_draw(tx.connection, draw_id)
    on = payment_handlers.not_before(draw, on)
    lines = await draw_store.list_instalments(tx.connection, draw_id)
    done = recover(draw, lines, amount_fen, on=on)
    if done.left.total_fen > short_fen:
        owed_fen = done.paid.total_fen + done.left.total_fen
        raise PayoffShort(draw.name, paid_fen=amount_fen, owed_fen=owed_fen, on=on)
    await draw_store.write_instalments(tx.connection, draw.id, done.lines)
    await claim_store.insert_claim(
        tx.connection,
        Claim(
            id=new_id(),
            draw_id=draw.id,
            state=ClaimState.OPEN if done.left.total_fen else ClaimState.PAID,
            transfer_ids=sorted(transfer_ids),
            paid_fen=amount_fen,
            interest_fen=done.left.interest_fen,
            principal_fen=done.left.principal_fen,
            penalty_fen=done.left.penalty_fen,
            as_of=on,
            create_time=tx.now,
            update_time=tx.now,
        ),
    )
    if done.left.total_fen:
        draw = await _default(tx, draw, done.lines, command="close_short")
    if transfer_ids:
        await _record(tx, draw, done, transfer_ids[0], amount_fen=amount_fen, on=on)
    return done


async def apply_top_up(
    tx: Transaction,
    draw_id: UUID,
    top_up_id: UUID,
    *,
    amount_fen: int,
    transfer_id: str,
    on: date,
) -> None:
    """Let a top-up that the funder took pay on what a disposal left."""
    await top_up_store.apply_held(tx.connection, top_up_id, applied_fen=amount_fen, at=tx.now)
    await payment_handlers.record_payment(
        tx,
        draw_id,
        kind=PaymentKind.TOP_UP,
        amount_fen=amount_fen,
        on=on,
        transfer_id=transfer_id,
    )


async def _record(
    tx: Transaction, draw: Draw, done: Recovery, transfer_id: str, *, amount_fen: int, on: date
) -> None:
    payment = Payment(
        id=new_id(),
        draw_id=draw.id,
        kind=PaymentKind.DISPOSAL,
        transfer_id=transfer_id,
        amount_fen=amount_fen,
        penalty_fen=done.paid.penalty_fen,
        interest_fen=done.paid.interest_fen,
        principal_fen=done.paid.principal_fen,
        excess_fen=done.excess_fen,
        business_date=on,
        create_time=tx.now,
    )
    await payment_handlers.book(tx, draw, payment, done.lines, is_last=not done.left.total_fen)


async def _default(
    tx: Transaction, draw: Draw, lines: Sequence[Instalment], *, command: str
) -> Draw:
    """Note a default, and tell of it; a shortfall is overtaken by it."""
    await shortfall_store.end_shortfall(
        tx.connection, draw.id, state=ShortfallState.ENFORCED, at=tx.now
    )
    step = DRAW.next(draw.state, command, subject=draw.name)
    if draw.state is not DrawState.DEFAULTED:
        await offer_handlers.mark_defaulted(tx, draw.offer_id)
    defaulted = await draw_store.update_draw(
        tx.connection,
        replace(draw, state=step.target, secured=command == "declare_default"),
        at=tx.now,
        events=1,
    )
    owed_fen = sum(line.unpaid_fen + line.unpaid_penalty_fen for line in lines)
    await tx.emit(draw_events.defaulted(defaulted, owed_fen=owed_fen))
    return await draw_handlers.age(tx, defaulted, lines)
