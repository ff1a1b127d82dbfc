"""Pools across services: a quote's machines are looked up, an award's machines are reserved."""

from datetime import date
from decimal import Decimal
from uuid import UUID

from google.protobuf.message import Message

from services.kit.errors import DomainError
from services.kit.ids import name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.sagas import Facts, Saga, SagaKind, Step
from services.kit.transaction import Transaction
from services.procurement import clients, quote_store
from services.procurement import quote_handlers as handlers
from services.procurement.errors import MachineNotOfferable
from services.procurement.pool_handlers import lock_pool
from services.procurement.pool_model import PriceTier, QuoteTerms, Specification
from services.procurement.pool_wire import pool_to_wire, quote_to_wire


async def check_machines(runtime: Runtime, saga: Saga) -> Facts:
    """Check that each machine is the seller's, available and as the pool specifies.

    Raises:
        PeerRefused: There is no such machine.
        MachineNotOfferable: Says which machine and why.
    """
    specification = Specification(**saga.facts["specification"])
    machines = await clients.all_of(
        clients.get_machine(runtime, machine) for machine in saga.facts["machines"]
    )
    for machine in machines:
        if machine.facts.title_holder != saga.facts["seller"]:
            raise MachineNotOfferable(machine.facts.name, "is not yours")
        if not machine.facts.is_available:
            raise MachineNotOfferable(machine.facts.name, "is not available")
        if why := specification.misfit(machine.facts):
            raise MachineNotOfferable(machine.facts.name, why)
    return {}


async def write_quote(tx: Transaction, saga: Saga) -> None:
    """Write the quote whose machines are as they should be."""
    facts = saga.facts
    await handlers.create_quote(
        tx,
        _quote_id_of(saga),
        UUID(facts["pool"]),
        QuoteTerms(
            unit_price_fen=facts["unit_price_fen"],
            tiers=tuple(PriceTier(quantity, Decimal(rate)) for quantity, rate in facts["tiers"]),
            transport_fen=facts["transport_fen"],
            other_fen=facts["other_fen"],
            machines=tuple(facts["machines"]),
            valid_until=date.fromisoformat(facts["valid_until"]),
        ),
        seller=facts["seller"],
    )


async def answer_quote(tx: Transaction, saga: Saga) -> Message:
    """Answer the quote."""
    quote = await quote_store.find_quote(tx.connection, _quote_id_of(saga), viewer=principal())
    assert quote is not None, "the saga has written it"
    return quote_to_wire(quote)


async def reserve_machines(runtime: Runtime, saga: Saga) -> Facts:
    """Reserve every machine that is allotted, each for its member's order.

    Raises:
        PeerRefused: A machine cannot be reserved.
    """
    await clients.all_of(
        clients.reserve_machine(
            runtime,
            saga,
            machine,
            order=name("orders", planned["order"]),
            buyer=planned["member"],
            from_time=saga.create_time,
        )
        for planned in saga.facts["orders"]
        for machine in planned["machines"]
    )
    return {}


async def release_machines(runtime: Runtime, saga: Saga) -> None:
    """Let go of every machine of an award that did not come about."""
    await clients.all_of(
        clients.release_machine(runtime, saga, machine, order=name("orders", planned["order"]))
        for planned in saga.facts["orders"]
        for machine in planned["machines"]
    )


async def write_award(tx: Transaction, saga: Saga) -> None:
    """Write the award and its orders."""
    await handlers.award(tx, _pool_id_of(saga), saga.facts)


async def answer_pool(tx: Transaction, saga: Saga) -> Message:
    """Answer the pool with its orders made."""
    return pool_to_wire(await lock_pool(tx, _pool_id_of(saga)))


async def write_lapsed(tx: Transaction, saga: Saga, refusal: DomainError) -> None:
    """Let the quote lapse whose machines could not be had; the next award passes it over."""
    await handlers.mark_lapsed(tx, UUID(saga.facts["quote"]), refusal)


def _quote_id_of(saga: Saga) -> UUID:
    return UUID(saga.subject.removeprefix("quotes/"))


def _pool_id_of(saga: Saga) -> UUID:
    return UUID(saga.subject.removeprefix("demandPools/"))


POOL_SAGAS = (
    SagaKind(
        handlers.QUOTE_POOL,
        (Step("check_machines", call=check_machines, apply=write_quote),),
        answer=answer_quote,
    ),
    SagaKind(
        handlers.AWARD_POOL,
        (
            Step("begin", undo=release_machines),
            Step("reserve", call=reserve_machines, apply=write_award),
        ),
        answer=answer_pool,
        on_refused=write_lapsed,
    ),
)
