"""Top-ups: cash held for the funder, and given free again once the draw stands without it."""

from dataclasses import replace
from uuid import UUID

from services.finance import (
    collateral_handlers,
    draw_store,
    payment_handlers,
    payment_saga,
    top_up_postings,
    top_up_store,
)
from services.finance.draw_model import DrawState
from services.finance.errors import DrawNotOutstanding
from services.finance.top_up_model import TopUp, TopUpState, require_releasable
from services.kit.amounts import yuan
from services.kit.errors import InvalidArgument
from services.kit.ids import new_id
from services.kit.postings import open_wallets
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction

HOLD = "top_up"
RELEASE = "top_up_release"


async def begin(tx: Transaction, draw_id: UUID, *, borrower: str, amount_fen: int) -> Saga:
    """Begin to hold cash for a borrower's draw.

    Raises:
        NotFound, DrawNotOutstanding, DrawBusy: There is no such draw, or not now.
        InvalidArgument: It is more than is outstanding.
    """
    draw = await payment_handlers.get_draw_of_borrower(tx, draw_id, borrower=borrower)
    if draw.state is not DrawState.ACTIVE:
        raise DrawNotOutstanding(draw.name, draw.state)
    draw.require_idle()
    if amount_fen > draw.exposure_fen:
        raise InvalidArgument("amount", f"must not exceed {yuan(draw.exposure_fen)} CNY")
    saga = await tx.start_saga(HOLD, draw.name, facts={"amount_fen": amount_fen})
    await payment_handlers.hold(tx, draw, by=saga.name)
    return saga


async def begin_release(tx: Transaction, draw_id: UUID, *, borrower: str) -> Saga:
    """Begin to give what is held for a borrower's draw free.

    Raises:
        NotFound, DrawNotOutstanding, DrawBusy: There is no such draw, or not now.
        TopUpNeeded: The draw is above its watch line without it, or in enforcement.
    """
    draw = await payment_handlers.get_draw_of_borrower(tx, draw_id, borrower=borrower)
    if draw.state is not DrawState.ACTIVE:
        raise DrawNotOutstanding(draw.name, draw.state)
    draw.require_idle()
    require_releasable(draw)
    saga = await tx.start_saga(RELEASE, draw.name)
    await payment_handlers.hold(tx, draw, by=saga.name)
    return saga


async def _hold(runtime: Runtime, saga: Saga) -> Facts:
    async with runtime.database.read() as connection:
        draw = await draw_store.get_draw(connection, payment_saga.draw_id_of(saga))
    await top_up_postings.hold(
        runtime,
        draw,
        hold_id=saga.fact_id("hold"),
        amount_fen=saga.facts["amount_fen"],
        wallets=await open_wallets(runtime.peers, [draw.borrower, draw.funder]),
    )
    return {}


async def _count(tx: Transaction, saga: Saga) -> None:
    draw = await draw_store.lock_draw(tx.connection, payment_saga.draw_id_of(saga))
    amount_fen: int = saga.facts["amount_fen"]
    await top_up_store.insert_top_up(
        tx.connection,
        TopUp(
            id=new_id(),
            draw_id=draw.id,
            state=TopUpState.HELD,
            amount_fen=amount_fen,
            applied_fen=0,
            hold_id=saga.fact_id("hold"),
            create_time=saga.create_time,
            update_time=saga.create_time,
        ),
    )
    topped = await draw_store.update_draw(
        tx.connection,
        replace(draw, held_by="", top_up_fen=draw.top_up_fen + amount_fen),
        at=tx.now,
    )
    lines = await draw_store.list_instalments(tx.connection, draw.id)
    await collateral_handlers.assess(tx, topped, lines, cause="a top-up")


async def _release(runtime: Runtime, saga: Saga) -> Facts:
    async with runtime.database.read() as connection:
        draw = await draw_store.get_draw(connection, payment_saga.draw_id_of(saga))
    await top_up_postings.release(runtime, draw)
    return {}


async def _uncount(tx: Transaction, saga: Saga) -> None:
    draw = await draw_store.lock_draw(tx.connection, payment_saga.draw_id_of(saga))
    await top_up_store.end_held(tx.connection, draw.id, at=tx.now)
    freed = await draw_store.update_draw(
        tx.connection, replace(draw, held_by="", top_up_fen=0), at=tx.now
    )
    lines = await draw_store.list_instalments(tx.connection, draw.id)
    await collateral_handlers.assess(tx, freed, lines, cause="its top-up was given free")


TOP_UP = SagaKind(
    HOLD,
    steps=(Step("hold", call=_hold, apply=_count),),
    answer=payment_saga.answer,
    on_refused=payment_saga.give_up,
)

TOP_UP_RELEASE = SagaKind(
    RELEASE,
    steps=(Step("release", call=_release, apply=_uncount),),
    answer=payment_saga.answer,
    on_refused=payment_saga.give_up,
)
