"""Asking for an offer: search title and liens, have the machine valued, decide."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from google.protobuf.message import Message

from services.finance import (
    clients,
    messages,
    offer_handlers,
    offer_store,
    subordination_handlers,
    valuation_clients,
)
from services.finance.offer_model import Appraisal, MachineFacts, Wish, check_appraisal
from services.kit.errors import DomainError
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction

KIND = "offer_request"


async def begin(tx: Transaction, facility_id: UUID, wish: Wish, *, borrower: str) -> Saga:
    """Begin to ask for an offer.

    Raises:
        DomainError: As `offer_handlers.request_offer`.
    """
    offer = await offer_handlers.request_offer(tx, facility_id, wish, borrower=borrower)
    return await tx.start_saga(
        KIND,
        offer.name,
        facts={
            "machine": wish.machine,
            "borrower": borrower,
            "funder": offer.funder,
            "hours_per_year": wish.hours_per_year,
            "term_months": wish.term_months,
            "senior_lien": await subordination_handlers.senior_lien(tx, wish.subordination_id),
        },
    )


async def _search(runtime: Runtime, saga: Saga) -> Facts:
    facts = await clients.get_machine(runtime, saga.facts["machine"], actor=saga.actor)
    offer_handlers.check_title(
        facts, borrower=saga.facts["borrower"], agreed=saga.facts.get("senior_lien", "")
    )
    hours = None if facts.hours_meter is None else str(facts.hours_meter)
    return {"facts": asdict(facts) | {"hours_meter": hours, "liens": list(facts.liens)}}


async def _value(runtime: Runtime, saga: Saga) -> Facts:
    appraisal = await valuation_clients.appraise(
        runtime,
        request_id=saga.request_id("value"),
        machine=saga.facts["machine"],
        # For the funder, who relies on it: it can read, explain and replay what it lends on.
        party=saga.facts["funder"],
        actor=saga.actor,
    )
    return {"appraisal": asdict(appraisal) | {"expire_at": appraisal.expire_at.isoformat()}}


async def _check_value(_tx: Transaction, saga: Saga) -> None:
    check_appraisal(_appraisal(saga.facts["appraisal"]))


async def _read_curve(runtime: Runtime, saga: Saga) -> Facts:
    curve = await valuation_clients.flv_q10_curve(
        runtime,
        saga.facts["appraisal"]["valuation"],
        hours_per_year=saga.facts["hours_per_year"],
        months=saga.facts["term_months"],
        actor=saga.actor,
    )
    return {"flv_q10_fen": curve}


async def _decide(tx: Transaction, saga: Saga) -> None:
    found = saga.facts["facts"]
    hours = found["hours_meter"]
    await offer_handlers.make_offer(
        tx,
        _offer_id(saga),
        MachineFacts(**found | {"hours_meter": None if hours is None else Decimal(hours)}),
        _appraisal(saga.facts["appraisal"]),
        flv_q10_fen=saga.facts["flv_q10_fen"],
    )


async def _refuse(tx: Transaction, saga: Saga, refusal: DomainError) -> None:
    kept = saga.facts.get("appraisal")
    await offer_handlers.refuse_offer(
        tx, _offer_id(saga), refusal, appraisal=None if kept is None else _appraisal(kept)
    )


async def _answer(tx: Transaction, saga: Saga) -> Message:
    offer = await offer_store.lock_offer(tx.connection, _offer_id(saga))
    return messages.offer(offer)


def _offer_id(saga: Saga) -> UUID:
    return UUID(saga.subject.split("/")[1])


def _appraisal(kept: Mapping[str, Any]) -> Appraisal:
    return Appraisal(**{**kept, "expire_at": datetime.fromisoformat(kept["expire_at"])})


OFFER_REQUEST = SagaKind(
    KIND,
    steps=(
        Step("search", call=_search),
        Step("value", call=_value, apply=_check_value),
        Step("decide", call=_read_curve, apply=_decide),
    ),
    answer=_answer,
    on_refused=_refuse,
)
