"""Payments on a draw: by the borrower, or by a transfer that another service posted."""

from datetime import datetime
from uuid import UUID

from google.protobuf.message import Message

from services.finance import (
    claim_store,
    clients,
    draw_store,
    messages,
    payment_handlers,
    top_up_postings,
)
from services.finance.draw_model import Draw, DrawState
from services.finance.lifecycle import DRAW
from services.finance.money_legs import excess_id, excess_leg, posting_id, repayment_legs
from services.finance.payment_model import PaymentKind
from services.finmath.allocation import Parts
from services.kit.clock import business_date
from services.kit.errors import DomainError, NotFound
from services.kit.ids import name
from services.kit.postings import first_unrefused, open_wallets, post
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step, until_done
from services.kit.transaction import Transaction

PAYMENT = "draw_payment"
SETTLEMENT = "draw_settlement"


async def begin_payment(
    tx: Transaction, draw_id: UUID, *, borrower: str, amount_fen: int | None
) -> Saga:
    """Begin to pay on a draw; None pays it off.

    Raises:
        DomainError: As `payment_handlers.plan_payment`.
    """
    draw = await payment_handlers.get_draw_of_borrower(tx, draw_id, borrower=borrower)
    amount, plan = await payment_handlers.plan_payment(tx, draw, amount_fen=amount_fen)
    kind = PaymentKind.PAYOFF if amount_fen is None else PaymentKind.REPAYMENT
    saga = await tx.start_saga(
        PAYMENT,
        draw.name,
        facts={
            "kind": kind,
            "amount_fen": amount,
            "penalty_fen": plan.paid.penalty_fen,
            "interest_fen": plan.paid.interest_fen,
            "principal_fen": plan.paid.principal_fen,
        },
    )
    await payment_handlers.hold(tx, draw, by=saga.name)
    return saga


async def begin_settlement(tx: Transaction, draw_id: UUID, *, transfer_id: str) -> Saga:
    """Begin to close a draw by a transfer; one that has closed it already changes nothing.

    Raises:
        NotFound: There is no such draw.
        TransitionRefused: It was closed otherwise.
        DrawBusy: Another saga works on it.
    """
    draw = await draw_store.find_draw(tx.connection, draw_id, viewer=principal())
    if draw is None:
        raise NotFound(name("draws", draw_id))
    draw = await draw_store.lock_draw(tx.connection, draw_id)
    is_done = await draw_store.is_settled_by(tx.connection, draw_id, transfer_id)
    draw.require_idle()
    if not is_done:
        DRAW.next(draw.state, "repay", subject=draw.name)
    saga = await tx.start_saga(
        SETTLEMENT,
        draw.name,
        facts={"transfer_id": transfer_id, "funder": draw.funder, "is_done": is_done},
    )
    await payment_handlers.hold(tx, draw, by=saga.name)
    return saga


async def _pay(runtime: Runtime, saga: Saga) -> Facts:
    async with runtime.database.read() as connection:
        draw = await draw_store.get_draw(connection, draw_id_of(saga))
    wallets = await open_wallets(runtime.peers, [draw.borrower, draw.funder])
    paid = Parts(
        penalty_fen=saga.facts["penalty_fen"],
        interest_fen=saga.facts["interest_fen"],
        principal_fen=saga.facts["principal_fen"],
    )
    legs = repayment_legs(saga, draw, paid, wallets)
    await post(runtime.peers, legs, txn=posting_id(saga))
    return {}


async def _record(tx: Transaction, saga: Saga) -> None:
    await payment_handlers.record_payment(
        tx,
        draw_id_of(saga),
        kind=PaymentKind(saga.facts["kind"]),
        amount_fen=saga.facts["amount_fen"],
        on=business_date(saga.create_time),
        transfer_id=str(posting_id(saga)),
    )


async def _verify(runtime: Runtime, saga: Saga) -> Facts:
    if saga.facts["is_done"]:
        return {}
    transfer_id = saga.facts["transfer_id"]
    posted = await clients.get_transfer(runtime, transfer_id)
    funder = saga.facts["funder"]
    wallet = (await open_wallets(runtime.peers, [funder]))[funder]
    posted.require(transfer_id, wallet=wallet, purpose=saga.subject)
    return {"amount_fen": posted.amount_fen, "posted_at": posted.posted_at.isoformat()}


async def _settle(tx: Transaction, saga: Saga) -> None:
    if saga.facts["is_done"]:
        return
    await payment_handlers.settle(
        tx,
        draw_id_of(saga),
        transfer_id=saga.facts["transfer_id"],
        amount_fen=saga.facts["amount_fen"],
        posted_at=datetime.fromisoformat(saga.facts["posted_at"]),
    )


async def _give_back(runtime: Runtime, saga: Saga) -> Facts:
    if not saga.facts["is_done"]:
        await give_back(runtime, saga, saga.facts["transfer_id"])
    return {}


async def give_back(runtime: Runtime, saga: Saga, transfer_id: str) -> None:
    """Give back what a transfer paid above the debt; the funder has just received it.

    Raises:
        HeldUp: Settlement refused.
    """
    async with runtime.database.read() as connection:
        draw = await draw_store.get_draw(connection, draw_id_of(saga))
        excess_fen = await draw_store.get_excess(connection, transfer_id)
    if not excess_fen:
        return
    wallets = await open_wallets(runtime.peers, [draw.funder, draw.borrower])
    attempt = await first_unrefused(runtime.peers, lambda attempt: [excess_id(saga, attempt)])
    leg = excess_leg(excess_id(saga, attempt), draw, excess_fen, wallets)
    async with until_done(f"what was paid above {draw.name}"):
        await post(runtime.peers, [leg], txn=leg.id)


async def _release_lien(runtime: Runtime, saga: Saga) -> Facts:
    async with runtime.database.read() as connection:
        draw = await draw_store.get_draw(connection, draw_id_of(saga))
    if draw.state is DrawState.REPAID:
        await free_collateral(runtime, saga, draw)
    return {}


async def free_collateral(runtime: Runtime, saga: Saga, draw: Draw) -> None:
    """Free machine and cash of a draw that is paid back, until it is done.

    Raises:
        HeldUp: Marketplace or settlement refused.
    """
    await release_lien(runtime, saga, draw)
    await top_up_postings.release(runtime, draw)


async def release_lien(runtime: Runtime, saga: Saga, draw: Draw) -> None:
    """Release the lien of a draw that is over, until it is done.

    Raises:
        HeldUp: Marketplace refused.
    """
    async with until_done(f"release of {draw.lien}"):
        await clients.release_lien(runtime, saga, draw.lien)


async def let_go(tx: Transaction, saga: Saga) -> None:
    """End the saga's hold on its draw."""
    await payment_handlers.let_go(tx, draw_id_of(saga))


async def give_up(tx: Transaction, saga: Saga, _refusal: DomainError) -> None:
    """End the saga's hold on its draw, where nothing came of it."""
    await payment_handlers.let_go(tx, draw_id_of(saga))


async def answer(tx: Transaction, saga: Saga) -> Message:
    """Return the draw as the contract shows it."""
    draw = await draw_store.get_draw(tx.connection, draw_id_of(saga))
    lines = await draw_store.list_instalments(tx.connection, draw.id)
    claim = await claim_store.find_claim(tx.connection, draw.id)
    return messages.draw(draw, lines, today=tx.today, claim=claim)


def draw_id_of(saga: Saga) -> UUID:
    """Return the draw that a saga works on."""
    return UUID(saga.subject.split("/")[1])


_RELEASE = Step("release", call=_release_lien, apply=let_go)

DRAW_PAYMENT = SagaKind(
    PAYMENT,
    steps=(Step("pay", call=_pay, apply=_record), _RELEASE),
    answer=answer,
    on_refused=give_up,
)

DRAW_SETTLEMENT = SagaKind(
    SETTLEMENT,
    steps=(
        Step("verify", call=_verify, apply=_settle),
        Step("give_back", call=_give_back),
        _RELEASE,
    ),
    answer=answer,
    on_refused=give_up,
)
