"""A machine valued again for a funder: value, curve of each draw, then the draws held to it.

It is finance's own doing, in its own name, whoever caused it.
"""

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from services.finance import draw_store, revaluation_handlers, valuation_clients
from services.finance.cover_model import ValueCurve, months_to
from services.finance.draw_model import Draw, DrawState
from services.finance.errors import ValuationNotIssued
from services.finance.revaluation_handlers import KIND, NewValue
from services.kit.errors import DomainError
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction

# A later valuation of the same machine takes nothing away from one that was issued.
RELIABLE = frozenset({"ISSUED", "SUPERSEDED"})


async def _value(runtime: Runtime, saga: Saga) -> Facts:
    given = saga.facts["given"]
    if given:
        found = await valuation_clients.get_value(runtime, given)
    else:
        found = await valuation_clients.make_value(
            runtime,
            request_id=saga.request_id("value"),
            machine=saga.facts["machine"],
            party=saga.facts["funder"],
        )
    if found["state"] not in RELIABLE:
        raise ValuationNotIssued(found["valuation"], found["state"])
    return {"value": found}


async def _read_curves(runtime: Runtime, saga: Saga) -> Facts:
    value = saga.facts["value"]
    as_of = date.fromisoformat(value["as_of"])
    async with runtime.database.read() as connection:
        draws = await draw_store.list_live_draws(connection, saga.facts["machine"])
    curves: list[dict[str, Any]] = []
    for draw in draws:
        if not _is_held(draw, saga) or draw.maturity_on is None:
            continue
        curve = await valuation_clients.find_curve(
            runtime,
            value["valuation"],
            hours_per_year=draw.hours_per_year,
            months=months_to(as_of, draw.maturity_on),
        )
        if curve is not None:
            olv, flv = curve
            curves.append({"draw": str(draw.id), "olv": olv, "flv": flv})
    return {"curves": curves}


async def _hold(tx: Transaction, saga: Saga) -> None:
    value = saga.facts["value"]
    as_of = date.fromisoformat(value["as_of"])
    await revaluation_handlers.hold_to(
        tx,
        _revaluation_id(saga),
        NewValue(
            valuation=value["valuation"],
            as_of=as_of,
            olv_q10_fen=value["olv_q10_fen"],
            olv_median_fen=value["olv_median_fen"],
            equipment_class=value["equipment_class"],
            hours=_number(value["hours"]),
            compliance=_number(value["compliance"]),
            curves=[
                ValueCurve(
                    draw_id=UUID(curve["draw"]),
                    valuation=value["valuation"],
                    as_of=as_of,
                    olv_q10_fen=curve["olv"],
                    flv_q10_fen=curve["flv"],
                )
                for curve in saga.facts["curves"]
            ],
        ),
    )


async def _fail(tx: Transaction, saga: Saga, refusal: DomainError) -> None:
    await revaluation_handlers.fail(tx, _revaluation_id(saga), refusal)


def _is_held(draw: Draw, saga: Saga) -> bool:
    return draw.state is DrawState.ACTIVE and draw.funder == saga.facts["funder"]


def _number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _revaluation_id(saga: Saga) -> UUID:
    return UUID(saga.subject.split("/")[1])


REVALUATION = SagaKind(
    KIND,
    steps=(
        Step("value", call=_value),
        Step("hold", call=_read_curves, apply=_hold),
    ),
    on_refused=_fail,
)
