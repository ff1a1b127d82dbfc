"""A draw closed by its share of its machine's disposal: check the transfers, book, free the lien.

It may get less than it is owed; what is left stays as a claim on the borrower.
"""

from dataclasses import replace
from datetime import date
from uuid import UUID

from services.finance import (
    claim_store,
    clients,
    default_handlers,
    draw_store,
    payment_saga,
    top_up_postings,
    top_up_store,
)
from services.finance.errors import TransferMismatch
from services.finance.lifecycle import DRAW
from services.finance.payment_handlers import counts_for, hold
from services.finmath.allocation import Parts
from services.kit.errors import InvalidArgument, NotFound
from services.kit.ids import name
from services.kit.postings import open_wallets
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction

KIND = "disposal_claim"


async def begin(
    tx: Transaction,
    draw_id: UUID,
    *,
    transfer_ids: list[str],
    paid: Parts,
    short_fen: int,
    as_of: date | None,
) -> Saga:
    """Begin to close a draw by a disposal; one that has closed it already changes nothing.

    Args:
        paid: What the transfers are said to pay.
        as_of: The day of the quote; None: of the first transfer, or today.

    Raises:
        NotFound: There is no such draw.
        InvalidArgument: The day is ahead.
        TransitionRefused: The draw was closed otherwise.
        DrawBusy: Another saga works on it.
    """
    if as_of is not None and as_of > tx.today:
        raise InvalidArgument("as_of", f"must not lie after {tx.today}, as {as_of} does")
    draw = await draw_store.find_draw(tx.connection, draw_id, viewer=principal())
    if draw is None:
        raise NotFound(name("draws", draw_id))
    draw = await draw_store.lock_draw(tx.connection, draw_id)
    claim = await claim_store.find_claim(tx.connection, draw_id)
    is_done = claim is not None and claim.transfer_ids == sorted(transfer_ids)
    draw.require_idle()
    if not is_done:
        DRAW.next(draw.state, "repay" if claim else "close_short", subject=draw.name)
        if claim is not None:
            raise TransferMismatch(
                claim.name,
                field="transfer_ids",
                found=", ".join(sorted(transfer_ids)) or "none",
                expected=", ".join(claim.transfer_ids) or "none",
            )
    saga = await tx.start_saga(
        KIND,
        draw.name,
        facts={
            "transfer_ids": transfer_ids,
            "funder": draw.funder,
            "stated_fen": paid.total_fen,
            "short_fen": short_fen,
            "on": (as_of or tx.today).isoformat() if as_of or not transfer_ids else "",
            "is_done": is_done,
        },
    )
    await hold(tx, draw, by=saga.name)
    return saga


async def _verify(runtime: Runtime, saga: Saga) -> Facts:
    transfer_ids = saga.facts["transfer_ids"]
    if saga.facts["is_done"] or not transfer_ids:
        if saga.facts["stated_fen"] and not transfer_ids:
            raise _mismatch_of_sum(saga, 0)
        return {"amount_fen": 0}
    funder = saga.facts["funder"]
    wallet = (await open_wallets(runtime.peers, [funder]))[funder]
    posted = [await clients.get_transfer(runtime, transfer_id) for transfer_id in transfer_ids]
    for transfer_id, transfer in zip(transfer_ids, posted, strict=True):
        transfer.require(transfer_id, wallet=wallet, purpose=saga.subject)
    amount_fen = sum(transfer.amount_fen for transfer in posted)
    if amount_fen != saga.facts["stated_fen"]:
        raise _mismatch_of_sum(saga, amount_fen)
    on = saga.facts["on"] or counts_for(UUID(transfer_ids[0]), posted[0].posted_at).isoformat()
    return {"amount_fen": amount_fen, "on": on}


def _mismatch_of_sum(saga: Saga, amount_fen: int) -> TransferMismatch:
    return TransferMismatch(
        ", ".join(saga.facts["transfer_ids"]) or "none",
        field="amount",
        found=f"{amount_fen} fen",
        expected=f"{saga.facts['stated_fen']} fen",
    )


async def _settle(tx: Transaction, saga: Saga) -> None:
    if saga.facts["is_done"]:
        return
    await default_handlers.settle_disposal(
        tx,
        payment_saga.draw_id_of(saga),
        transfer_ids=saga.facts["transfer_ids"],
        amount_fen=saga.facts["amount_fen"],
        short_fen=saga.facts["short_fen"],
        on=date.fromisoformat(saga.facts["on"]),
    )


async def _give_back(runtime: Runtime, saga: Saga) -> Facts:
    if saga.facts["transfer_ids"] and not saga.facts["is_done"]:
        await payment_saga.give_back(runtime, saga, saga.facts["transfer_ids"][0])
    return {}


async def _take_top_up(runtime: Runtime, saga: Saga) -> Facts:
    """Let the cash that is held for a draw pay what the disposal left."""
    async with runtime.database.read() as connection:
        draw = await draw_store.get_draw(connection, payment_saga.draw_id_of(saga))
        claim = await claim_store.find_claim(connection, draw.id)
    owed_fen = claim.total_fen if claim and not saga.facts["is_done"] else 0
    taken = await top_up_postings.take(runtime, draw, owed_fen)
    return {
        "taken": [[str(top_up.id), fen, str(transfer_id)] for top_up, fen, transfer_id in taken]
    }


async def _apply_top_up(tx: Transaction, saga: Saga) -> None:
    draw_id = payment_saga.draw_id_of(saga)
    for top_up_id, amount_fen, transfer_id in saga.facts["taken"]:
        if amount_fen:
            await default_handlers.apply_top_up(
                tx,
                draw_id,
                UUID(top_up_id),
                amount_fen=amount_fen,
                transfer_id=transfer_id,
                on=date.fromisoformat(saga.facts["on"]),
            )
    await top_up_store.end_held(tx.connection, draw_id, at=tx.now)
    draw = await draw_store.lock_draw(tx.connection, draw_id)
    await draw_store.update_draw(
        tx.connection, replace(draw, secured=False, top_up_fen=0), at=tx.now
    )


async def _release_lien(runtime: Runtime, saga: Saga) -> Facts:
    """Free the machine, which is sold, whether the draw is paid or not."""
    async with runtime.database.read() as connection:
        draw = await draw_store.get_draw(connection, payment_saga.draw_id_of(saga))
    await payment_saga.release_lien(runtime, saga, draw)
    return {}


DISPOSAL_CLAIM = SagaKind(
    KIND,
    steps=(
        Step("verify", call=_verify, apply=_settle),
        Step("give_back", call=_give_back),
        Step("top_up", call=_take_top_up, apply=_apply_top_up),
        Step("release", call=_release_lien, apply=payment_saga.let_go),
    ),
    answer=payment_saga.answer,
    on_refused=payment_saga.give_up,
)
