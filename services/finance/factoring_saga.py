"""Factoring: assign at leasing, tell and register, then pay; first what is drawn on the machine.

Where the funder's wallet does not hold the price, the instalments stay assigned and the funder may
try again until the offer runs out; then they go back to the lessor.
"""

from dataclasses import replace
from uuid import UUID

from google.protobuf.message import Message

from services.finance import (
    clients,
    draw_store,
    factoring_handlers,
    factoring_store,
    payment_handlers,
    receivable_messages,
    receivable_store,
)
from services.finance.draw_model import Draw, DrawState
from services.finance.errors import ReceivableNotEligible
from services.finance.factoring_handlers import RETURN
from services.finance.money_legs import posting_id, price_leg, repayment_legs
from services.finance.payment_model import PaymentKind, Repayment, quote, repay
from services.finance.payment_saga import free_collateral
from services.finance.receivable_model import Factoring, FactoringState
from services.kit.calendar import CHINA
from services.kit.clock import business_date
from services.kit.connection import Connection
from services.kit.errors import DomainError
from services.kit.postings import open_wallets, post
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction

KIND = "factoring"


async def begin(tx: Transaction, factoring_id: UUID, *, funder: str) -> Saga:
    """Begin to accept a factoring, or to pay for it anew.

    Raises:
        DomainError: As `factoring_handlers.begin_acceptance`.
    """
    factoring = await factoring_handlers.begin_acceptance(tx, factoring_id, funder=funder)
    is_assigned = factoring.state is FactoringState.ASSIGNED
    saga = await tx.start_saga(KIND, factoring.name, facts={"is_assigned": is_assigned})
    await factoring_handlers.hold(tx, factoring, by=saga.name)
    return saga


async def _assign(runtime: Runtime, saga: Saga) -> Facts:
    """Assign at leasing, and hold what was priced to what leasing says is still to be paid.

    Raises:
        ReceivableNotEligible: They differ: the lease changed and its event is still on its way.
    """
    if saga.facts["is_assigned"]:
        return {}
    async with runtime.database.read() as connection:
        factoring = await _read(connection, saga)
        priced = await receivable_store.list_of_factoring(connection, factoring.id)
    owed_fen = await clients.assign_instalments(
        runtime, factoring, request_id=saga.request_id("assign"), actor=saga.actor
    )
    for line in priced:
        if owed_fen.get(line.number) != line.amount_fen - line.paid_fen:
            await clients.return_instalments(
                runtime,
                lease=factoring.lease,
                factoring=factoring.name,
                request_id=saga.request_id("give back"),
            )
            raise ReceivableNotEligible(line.name, line.number, "has changed since it was priced")
    return {}


async def _note_assignment(tx: Transaction, saga: Saga) -> None:
    await factoring_handlers.note_assignment(tx, _factoring_id(saga))


async def _hold_draw(tx: Transaction, saga: Saga) -> None:
    """Let nobody else pay on the draw whose payoff is about to be part of the posting."""
    factoring = await factoring_store.lock_factoring(tx.connection, _factoring_id(saga))
    for draw in await draw_store.lock_live_draws(tx.connection, factoring.machine):
        if draw.borrower != factoring.lessor:
            continue
        draw.require_idle(but=saga.name)
        draw.require_outstanding()
        await payment_handlers.hold(tx, draw, by=saga.name)
        await factoring_store.update_factoring(
            tx.connection, replace(factoring, draw_id=draw.id), at=tx.now
        )
        return  # one lien on a machine at a time, so one draw


async def _pay(runtime: Runtime, saga: Saga) -> Facts:
    async with runtime.database.read() as connection:
        factoring = await _read(connection, saga)
        planned = await _plan(connection, saga, factoring)
    parties = [factoring.funder, factoring.lessor]
    if planned is not None:
        parties.append(planned[0].funder)
    wallets = await open_wallets(runtime.peers, parties)
    legs = [price_leg(saga, factoring, wallets)]
    repaid_fen = 0
    if planned is not None:
        draw, plan = planned
        legs += repayment_legs(saga, draw, plan.paid, wallets)
        repaid_fen = plan.paid.total_fen
    await post(runtime.peers, legs, txn=posting_id(saga))
    return {"draw_repaid_fen": repaid_fen}


async def _note_funding(tx: Transaction, saga: Saga) -> None:
    factoring = await _read(tx.connection, saga)
    repaid_fen = saga.facts["draw_repaid_fen"]
    await factoring_handlers.note_funding(tx, factoring.id, draw_repaid_fen=repaid_fen)
    if factoring.draw_id is not None:
        await payment_handlers.record_payment(
            tx,
            factoring.draw_id,
            kind=PaymentKind.FACTORING,
            amount_fen=repaid_fen,
            on=business_date(saga.create_time),
            transfer_id=str(posting_id(saga)),
        )


async def _release_lien(runtime: Runtime, saga: Saga) -> Facts:
    async with runtime.database.read() as connection:
        factoring = await _read(connection, saga)
        if factoring.draw_id is None:
            return {}
        draw = await draw_store.get_draw(connection, factoring.draw_id)
    if draw.state is DrawState.REPAID:
        await free_collateral(runtime, saga, draw)
    return {}


async def _let_go(tx: Transaction, saga: Saga) -> None:
    factoring = await factoring_store.lock_factoring(tx.connection, _factoring_id(saga))
    if factoring.draw_id is not None:
        await payment_handlers.let_go(tx, factoring.draw_id)
    await factoring_handlers.hold(tx, factoring, by="")


async def _give_up(tx: Transaction, saga: Saga, _refusal: DomainError) -> None:
    """Leave the factoring where it stands: offered, or assigned and waiting for cash."""
    factoring = await factoring_store.lock_factoring(tx.connection, _factoring_id(saga))
    if factoring.draw_id is not None:
        await payment_handlers.let_go(tx, factoring.draw_id)
    await factoring_handlers.hold(tx, replace(factoring, draw_id=None), by="")


async def _answer(tx: Transaction, saga: Saga) -> Message:
    return receivable_messages.factoring(await _read(tx.connection, saga))


async def _return(runtime: Runtime, saga: Saga) -> Facts:
    await clients.return_instalments(
        runtime,
        lease=saga.facts["lease"],
        factoring=saga.subject,
        request_id=saga.request_id("return"),
    )
    return {}


async def _fall_back(tx: Transaction, saga: Saga) -> None:
    factoring = await factoring_store.lock_factoring(tx.connection, _factoring_id(saga))
    await factoring_handlers.fall_back(tx, factoring, command="return")


async def _plan(
    connection: Connection, saga: Saga, factoring: Factoring
) -> tuple[Draw, Repayment] | None:
    """Return the held draw and what the price repays of it; None where nothing is drawn."""
    if factoring.draw_id is None:
        return None
    draw = await draw_store.get_draw(connection, factoring.draw_id)
    lines = await draw_store.list_instalments(connection, draw.id)
    on = business_date(saga.create_time)
    amount_fen = min(factoring.price_fen, quote(draw, lines, on).total_fen)
    return draw, repay(draw, lines, amount_fen, on=on, calendar=CHINA)


async def _read(connection: Connection, saga: Saga) -> Factoring:
    return await factoring_store.get_factoring(connection, _factoring_id(saga))


def _factoring_id(saga: Saga) -> UUID:
    return UUID(saga.subject.split("/")[1])


FACTORING_ACCEPTANCE = SagaKind(
    KIND,
    steps=(
        Step("assign", call=_assign, apply=_note_assignment),
        Step("hold_draw", apply=_hold_draw),
        Step("pay", call=_pay, apply=_note_funding),
        Step("release", call=_release_lien, apply=_let_go),
    ),
    answer=_answer,
    on_refused=_give_up,
)

FACTORING_RETURN = SagaKind(RETURN, steps=(Step("return", call=_return, apply=_fall_back),))
