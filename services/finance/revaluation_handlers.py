"""Revaluations: ordered by causes, one at a time for a machine and funder, held to by its draws."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from services.finance import (
    collateral_handlers,
    cover_store,
    draw_store,
    policy_store,
    revaluation_store,
)
from services.finance.collateral_handlers import REVALUE
from services.finance.cover_model import ValueCurve
from services.finance.draw_model import Draw, DrawState
from services.finance.errors import ValuationNotIssued
from services.finance.policy_model import Parameter
from services.finance.revaluation_model import (
    Cause,
    Reason,
    Revaluation,
    RevaluationState,
    with_reason,
)
from services.finmath.dates import add_months
from services.finmath.money import share_of
from services.kit.clock import start_of
from services.kit.errors import DomainError, NotFound
from services.kit.ids import name, new_id
from services.kit.timers import Timer
from services.kit.transaction import Transaction

KIND = "revaluation"
AGAIN_AFTER = timedelta(days=1)  # where a machine could not be valued
SPREAD_S = 4 * 3_600  # of a day, over which a portfolio's monthly values are made
DRAWN = Reason(Cause.DRAWN, "the first curve of a new draw")
VALUED = Reason(Cause.FUNDER, "a valuation of the funder's")
ASKED = Reason(Cause.FUNDER, "asked for by the funder")
MONTHLY = Reason(Cause.MONTHLY, "monthly revaluation")


@dataclass(frozen=True, slots=True)
class NewValue:
    """What a valuation says of a machine; amounts in fen.

    Attributes:
        as_of: Its day.
        hours, compliance: What it rests on; None: not known.
        curves: By draw; one without a build year has none.
    """

    valuation: str
    as_of: date
    olv_q10_fen: int
    olv_median_fen: int
    equipment_class: str
    hours: Decimal | None
    compliance: Decimal | None
    curves: Sequence[ValueCurve]


async def order(
    tx: Transaction, machine: str, funder: str, reason: Reason, *, given: str = ""
) -> Revaluation:
    """Have a machine valued again for a funder: now, or after the revaluation that runs.

    Args:
        given: A valuation of the funder's that is there already; empty: one is to be made.
    """
    await revaluation_store.lock_watch(tx.connection, machine, funder)
    connection = tx.connection
    queued = await revaluation_store.find_in_state(
        connection, machine, funder, RevaluationState.QUEUED
    )
    if queued is not None:
        # A valuation that is still to be made is newer than any that is given.
        joined = replace(
            queued,
            reasons=with_reason(queued.reasons, reason),
            given=given if queued.given and given else "",
        )
        return await revaluation_store.update_revaluation(connection, joined, at=tx.now)
    running = await revaluation_store.find_in_state(
        connection, machine, funder, RevaluationState.RUNNING
    )
    ordered = Revaluation(
        id=new_id(),
        machine=machine,
        funder=funder,
        state=RevaluationState.QUEUED if running else RevaluationState.RUNNING,
        reasons=[reason],
        given=given,
        valuation="",
        former_valuation="",
        failure="",
        create_time=tx.now,
        update_time=tx.now,
    )
    await revaluation_store.insert_revaluation(connection, ordered)
    if running is None:
        await _start(tx, ordered)
    return ordered


async def take_value(tx: Transaction, machine: str, funder: str, *, valuation: str) -> None:
    """Hold a funder's draws on a machine to a valuation that is there, if it is newer than theirs.

    Its own revaluation may be about to do so, or has just done it: under the lock it is known.
    """
    draws = await draw_store.list_live_draws(tx.connection, machine)
    if not any(draw.funder == funder for draw in draws):
        return
    await revaluation_store.lock_watch(tx.connection, machine, funder)
    for draw in await draw_store.list_live_draws(tx.connection, machine):
        is_held = draw.state is DrawState.ACTIVE and draw.funder == funder
        if is_held and draw.valuation < valuation:
            await order(tx, machine, funder, VALUED, given=valuation)
            return


async def request(tx: Transaction, draw_id: UUID, *, funder: str) -> Revaluation:
    """Order the revaluation of a funder's draw's machine, since the funder asks for it.

    Raises:
        NotFound: The funder has no such draw.
        DrawBusy, DrawNotOutstanding: It is not paid out, or is paid back.
    """
    draw = await draw_store.get_draw_of_funder(tx.connection, draw_id, funder=funder)
    if draw is None:
        raise NotFound(name("draws", draw_id))
    draw.require_outstanding()
    return await order(tx, draw.machine, draw.funder, ASKED)


async def order_by_timer(tx: Transaction, timer: Timer) -> None:
    """Order the revaluation of a draw's machine for which its timer was set."""
    draw = await draw_store.get_draw(tx.connection, UUID(timer.subject.split("/")[1]))
    if draw.state is not DrawState.ACTIVE:
        return
    reason = MONTHLY
    if timer.payload:
        reason = Reason(Cause(timer.payload["cause"]), timer.payload["description"])
    given = draw.valuation if reason.cause is Cause.DRAWN else ""
    await order(tx, draw.machine, draw.funder, reason, given=given)


async def hold_to(tx: Transaction, revaluation_id: UUID, value: NewValue) -> None:
    """Hold the draws on a machine to its newer value, and end the revaluation."""
    revaluation = await revaluation_store.get_revaluation(tx.connection, revaluation_id)
    await revaluation_store.lock_watch(tx.connection, revaluation.machine, revaluation.funder)
    policy = await policy_store.current_policy(tx.connection)
    months = int(policy.values[Parameter.REVALUATION_MONTHS].value)
    curves = {curve.draw_id: curve for curve in value.curves}
    former = ""
    for known in await draw_store.lock_live_draws(tx.connection, revaluation.machine):
        # One that ranks before it may just have moved it.
        draw = await draw_store.get_draw(tx.connection, known.id)
        is_newer = value.valuation >= draw.valuation  # their ids carry their time
        if draw.state is not DrawState.ACTIVE or draw.funder != revaluation.funder or not is_newer:
            continue
        former = draw.valuation
        if draw.id in curves:
            await cover_store.write_curve(tx.connection, curves[draw.id], at=tx.now)
        held = await draw_store.update_draw(
            tx.connection,
            replace(
                draw,
                valuation=value.valuation,
                collateral_fen=share_of(value.olv_q10_fen, 1 - draw.haircut),
                olv_median_fen=value.olv_median_fen,
                equipment_class=value.equipment_class,
                valued_hours=value.hours,
                valued_compliance=value.compliance,
            ),
            at=tx.now,
        )
        lines = await draw_store.list_instalments(tx.connection, draw.id)
        await collateral_handlers.assess(tx, held, lines, cause=revaluation.cause)
        if months:
            await tx.set_timer(REVALUE, draw.name, due_at=_due_at(tx, draw, months))
    await _end(
        tx,
        replace(
            revaluation,
            state=RevaluationState.DONE,
            valuation=value.valuation,
            former_valuation=former,
        ),
    )


async def fail(tx: Transaction, revaluation_id: UUID, refusal: DomainError) -> None:
    """End a revaluation that gave no value; the draws are looked at again a day later.

    A value that waits for a validator comes by event once it is issued; another one each day would
    only wait beside it.
    """
    policy = await policy_store.current_policy(tx.connection)
    months = int(policy.values[Parameter.REVALUATION_MONTHS].value)
    waits = refusal.reason == ValuationNotIssued.reason and months > 0
    revaluation = await revaluation_store.get_revaluation(tx.connection, revaluation_id)
    await revaluation_store.lock_watch(tx.connection, revaluation.machine, revaluation.funder)
    for draw in await draw_store.list_live_draws(tx.connection, revaluation.machine):
        if draw.state is DrawState.ACTIVE and draw.funder == revaluation.funder:
            await tx.set_timer(
                REVALUE,
                draw.name,
                due_at=_due_at(tx, draw, months) if waits else tx.now + AGAIN_AFTER,
                payload={"cause": Cause.MONTHLY.value, "description": revaluation.cause},
            )
    failure = f"{refusal.reason}: {refusal.message}"
    await _end(tx, replace(revaluation, state=RevaluationState.FAILED, failure=failure))


def _due_at(tx: Transaction, draw: Draw, months: int) -> datetime:
    """Return when a draw's machine is valued again, each at a moment of its own."""
    day = start_of(add_months(tx.today, months))
    return day + timedelta(seconds=draw.id.int % SPREAD_S)


async def _end(tx: Transaction, revaluation: Revaluation) -> None:
    """End the revaluation that runs, and start the one that waits for it."""
    await revaluation_store.update_revaluation(tx.connection, revaluation, at=tx.now)
    queued = await revaluation_store.find_in_state(
        tx.connection, revaluation.machine, revaluation.funder, RevaluationState.QUEUED
    )
    if queued is None:
        return
    if queued.given and queued.given <= revaluation.valuation:
        # It was told of the very valuation that has just been taken.
        await revaluation_store.delete_revaluation(tx.connection, queued.id)
        return
    started = replace(queued, state=RevaluationState.RUNNING)
    await _start(tx, await revaluation_store.update_revaluation(tx.connection, started, at=tx.now))


async def _start(tx: Transaction, revaluation: Revaluation) -> None:
    await tx.start_saga(
        KIND,
        revaluation.name,
        facts={
            "machine": revaluation.machine,
            "funder": revaluation.funder,
            "given": revaluation.given,
        },
    )
