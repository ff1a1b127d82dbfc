"""Drawing an offer: search again, register the lien, pay.

Where the payment is refused the lien is released again.
"""

from datetime import datetime
from uuid import UUID

from google.protobuf.message import Message

from services.finance import (
    clients,
    draw_handlers,
    draw_store,
    messages,
    subordination_handlers,
    valuation_clients,
)
from services.finance.clients import RegisteredLien
from services.finance.errors import TitleMoved, ValuationNotIssued
from services.finance.money_legs import payout_leg, posting_id
from services.finance.offer_handlers import check_liens
from services.kit.errors import DomainError
from services.kit.postings import open_wallets, post
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction

KIND = "draw"

# A later valuation of the same machine takes nothing away from what an offer was made on.
RELIABLE = frozenset({"ISSUED", "SUPERSEDED"})


async def begin(tx: Transaction, offer_id: UUID, *, borrower: str) -> Saga:
    """Begin to draw an offer.

    Raises:
        DomainError: As `draw_handlers.begin_draw`.
    """
    draw, purchase_money = await draw_handlers.begin_draw(tx, offer_id, borrower=borrower)
    return await tx.start_saga(
        KIND,
        draw.name,
        facts={
            "machine": draw.machine,
            "borrower": draw.borrower,
            "valuation": draw.valuation,
            "purchase_money": purchase_money,
            "senior_lien": await subordination_handlers.senior_lien(tx, draw.subordination_id),
        },
    )


async def _search(runtime: Runtime, saga: Saga) -> Facts:
    facts = await clients.get_machine(runtime, saga.facts["machine"], actor=saga.actor)
    if facts.title_holder != saga.facts["borrower"]:
        raise TitleMoved(facts.machine)
    check_liens(facts.machine, facts.liens, agreed=saga.facts.get("senior_lien", ""))
    valuation = saga.facts["valuation"]
    state = await valuation_clients.valuation_state(runtime, valuation, actor=saga.actor)
    if state not in RELIABLE:
        raise ValuationNotIssued(valuation, state)
    return {}


async def _register(runtime: Runtime, saga: Saga) -> Facts:
    async with runtime.database.read() as connection:
        draw = await draw_store.get_draw(connection, _draw_id(saga))
    lien = await clients.register_lien(
        runtime,
        draw,
        request_id=saga.request_id("lien"),
        purchase_money=saga.facts["purchase_money"],
        actor=saga.actor,
    )
    return {
        "lien": lien.name,
        "rank": {"first": lien.first, "time": lien.time.isoformat(), "place": lien.place},
    }


async def _note_lien(tx: Transaction, saga: Saga) -> None:
    rank = saga.facts["rank"]
    lien = RegisteredLien(
        name=saga.facts["lien"],
        first=rank["first"],
        time=datetime.fromisoformat(rank["time"]),
        place=rank["place"],
    )
    await draw_handlers.note_lien(tx, _draw_id(saga), lien)


async def _release(runtime: Runtime, saga: Saga) -> None:
    await clients.release_lien(runtime, saga, saga.facts["lien"])


async def _pay(runtime: Runtime, saga: Saga) -> Facts:
    async with runtime.database.read() as connection:
        draw = await draw_store.get_draw(connection, _draw_id(saga))
    wallets = await open_wallets(runtime.peers, [draw.funder, draw.borrower])
    leg = payout_leg(saga, draw, wallets)
    await post(runtime.peers, [leg], txn=posting_id(saga))
    return {"transfer_id": str(leg.id)}


async def _note_payment(tx: Transaction, saga: Saga) -> None:
    await draw_handlers.pay_out(tx, _draw_id(saga), transfer_id=UUID(saga.facts["transfer_id"]))


async def _cancel(tx: Transaction, saga: Saga, _refusal: DomainError) -> None:
    await draw_handlers.cancel_draw(tx, _draw_id(saga))


async def _answer(tx: Transaction, saga: Saga) -> Message:
    draw = await draw_store.get_draw(tx.connection, _draw_id(saga))
    lines = await draw_store.list_instalments(tx.connection, draw.id)
    return messages.draw(draw, lines, today=tx.today)


def _draw_id(saga: Saga) -> UUID:
    return UUID(saga.subject.split("/")[1])


DRAW_OFFER = SagaKind(
    KIND,
    steps=(
        Step("search", call=_search),
        Step("lien", call=_register, apply=_note_lien, undo=_release),
        Step("pay", call=_pay, apply=_note_payment),
    ),
    answer=_answer,
    on_refused=_cancel,
)
