"""Draws against their collateral: assessed, short, cured, enforced; one transaction a command."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from services.finance import cover_store, draw_events, draw_store, shortfall_store
from services.finance.cover_model import Senior, cover_of
from services.finance.draw_model import (
    CURE_BUSINESS_DAYS,
    CollateralState,
    Draw,
    DrawState,
    EnforcedBy,
    Instalment,
    collateral_finding,
)
from services.finance.lifecycle import COLLATERAL
from services.finance.shortfall_model import Shortfall, ShortfallState
from services.finance.subordination_model import ahead_of, is_ahead, senior_fen
from services.kit.calendar import CHINA
from services.kit.clock import start_of
from services.kit.connection import Connection
from services.kit.ids import new_id
from services.kit.timers import Timer
from services.kit.transaction import Transaction

CURE = "collateral_cure"
REVALUE = "draw_revaluation"
NOT_CURED = f"not cured within {CURE_BUSINESS_DAYS} business days"


async def assess(tx: Transaction, draw: Draw, lines: Sequence[Instalment], *, cause: str) -> Draw:
    """Hold a draw's balance to its collateral; tell of a shortfall, or of its cure.

    The draws whose liens rank behind it are held to what it leaves them.

    Args:
        cause: What happened, as a shortfall that comes of it tells.
    """
    others = [
        other
        for other in await draw_store.list_live_draws(tx.connection, draw.machine)
        if other.id != draw.id
    ]
    assessed = await _assess(tx, draw, lines, others, cause=cause)
    for other in others:
        if other.state is DrawState.ACTIVE and is_ahead(draw, of=other):
            behind = await draw_store.lock_draw(tx.connection, other.id)
            rest = [one for one in others if one.id != behind.id]
            schedule = await draw_store.list_instalments(tx.connection, behind.id)
            said = f"{cause} of {draw.name}, which ranks first"
            await _assess(tx, behind, schedule, [*rest, assessed], cause=said)
    return assessed


async def seniors_of(connection: Connection, draw: Draw, others: Iterable[Draw]) -> list[Senior]:
    """Return those of other draws on its machine that rank before a draw, with their schedules."""
    ahead = ahead_of(draw, others)
    if not ahead:
        return []
    lines = await draw_store.list_instalments_of(connection, [other.id for other in ahead])
    return [Senior(other, lines.get(other.id, [])) for other in ahead]


async def _assess(
    tx: Transaction,
    former: Draw,
    lines: Sequence[Instalment],
    others: Iterable[Draw],
    *,
    cause: str,
) -> Draw:
    """Hold one draw's balance, after what ranks before it, to its collateral."""
    if former.state is DrawState.DEFAULTED:
        return former
    if former.state is not DrawState.ACTIVE:
        await tx.cancel_timers(former.name, kind=REVALUE)
    seniors = await seniors_of(tx.connection, former, others)
    draw = replace(former, senior_fen=senior_fen(former, (senior.draw for senior in seniors)))
    curve = await cover_store.find_curve(tx.connection, draw.id)
    month = None
    if curve is not None and draw.state is DrawState.ACTIVE:
        month = cover_of(draw, lines, curve, seniors=seniors).forced.breach_month
    finding = collateral_finding(
        draw.loan_to_value, watch_line=draw.watch_line, cap=draw.maintenance_cap
    )
    step = COLLATERAL.next(draw.collateral_state, finding, subject=draw.name)
    if step.target is draw.collateral_state:
        if (month, draw.senior_fen) == (former.breach_month, former.senior_fen):
            return former
        return await draw_store.update_draw(
            tx.connection, replace(draw, breach_month=month), at=tx.now
        )
    return await _move(tx, replace(draw, breach_month=month), step.target, cause=cause)


async def enforce(tx: Transaction, draw: Draw, *, by: EnforcedBy, cause: str) -> Draw:
    """Bring a draw that is outstanding into enforcement; one that is there stays."""
    step = COLLATERAL.next(draw.collateral_state, "enforce", subject=draw.name)
    await tx.cancel_timers(draw.name, kind=CURE)
    if step.event is None:
        return draw
    await shortfall_store.end_shortfall(
        tx.connection, draw.id, state=ShortfallState.ENFORCED, at=tx.now
    )
    enforced = await draw_store.update_draw(
        tx.connection,
        replace(
            draw,
            collateral_state=step.target,
            cure_by=None,
            shortfall_cause=cause,
            enforced_by=by,
        ),
        at=tx.now,
        events=1,
    )
    await tx.emit(draw_events.enforced(enforced))
    return enforced


async def lift(tx: Transaction, draw: Draw, *, cause: str) -> Draw:
    """End an enforcement that came of a lease's default, which is cured; others stay."""
    if (
        draw.collateral_state is not CollateralState.ENFORCEMENT
        or draw.enforced_by is not EnforcedBy.LEASE
    ):
        return draw
    is_short = draw.loan_to_value > draw.maintenance_cap
    command = "lift_short" if is_short else "lift"
    step = COLLATERAL.next(draw.collateral_state, command, subject=draw.name)
    return await _move(tx, replace(draw, enforced_by=EnforcedBy.NOBODY), step.target, cause=cause)


async def enforce_by_timer(tx: Transaction, timer: Timer) -> None:
    """Enforce a shortfall on the day after its last day to be cured."""
    draw = await draw_store.lock_draw(tx.connection, UUID(timer.subject.split("/")[1]))
    if draw.state is not DrawState.ACTIVE or draw.cure_by is None or draw.cure_by >= tx.today:
        return
    if draw.collateral_state is CollateralState.SHORTFALL:
        cause = f"{draw.shortfall_cause}; {NOT_CURED}"
        await enforce(tx, draw, by=EnforcedBy.DEADLINE, cause=cause)


async def _move(tx: Transaction, draw: Draw, target: CollateralState, *, cause: str) -> Draw:
    """Bring a draw into another state of its collateral, and tell of what must be told."""
    was, is_short = draw.collateral_state, target is CollateralState.SHORTFALL
    is_cured = target is CollateralState.CURED
    cure_by = CHINA.add_business_days(tx.today, CURE_BUSINESS_DAYS) if is_short else None
    moved = await draw_store.update_draw(
        tx.connection,
        replace(
            draw,
            collateral_state=target,
            cure_by=cure_by,
            shortfall_cause=cause if is_short else draw.shortfall_cause,
        ),
        at=tx.now,
        events=1 if is_short or is_cured else 0,
    )
    if cure_by is not None:
        await tx.set_timer(CURE, draw.name, due_at=start_of(cure_by + timedelta(days=1)))
        await shortfall_store.insert_shortfall(
            tx.connection,
            Shortfall(
                id=new_id(),
                draw_id=moved.id,
                machine=moved.machine,
                funder=moved.funder,
                borrower=moved.borrower,
                state=ShortfallState.OPEN,
                cause=cause,
                month=moved.breach_month,
                loan_to_value=moved.loan_to_value,
                paydown_fen=moved.paydown_fen,
                valuation=moved.valuation,
                cure_by=cure_by,
                create_time=tx.now,
                end_time=None,
            ),
        )
        await tx.emit(draw_events.shortfall(moved))
    elif was is CollateralState.SHORTFALL:
        await tx.cancel_timers(draw.name, kind=CURE)
        await shortfall_store.end_shortfall(
            tx.connection, draw.id, state=ShortfallState.CURED, at=tx.now
        )
    if is_cured:
        await tx.emit(draw_events.cured(moved))
    return moved
