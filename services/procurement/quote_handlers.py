"""What is done with quotes, and the award, one transaction a command."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from ironloop.procurement.v1 import procurement_events_pb2 as events

from services.kit import sagas, wire
from services.kit.database import Database
from services.kit.errors import DomainError, InvalidArgument, NotFound
from services.kit.etags import check_etag
from services.kit.ids import name, new_id
from services.kit.principals import Principal, principal
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.procurement import order_handlers, order_store, policy_store, pool_store, quote_store
from services.procurement.errors import (
    MachineInOrder,
    OwnPool,
    QuoteExists,
    QuoteGone,
    QuotingClosed,
    QuotingOpen,
)
from services.procurement.lifecycle import POOL, QUOTE
from services.procurement.order_model import Origin
from services.procurement.pool_handlers import lock_pool, require_organiser
from services.procurement.pool_model import (
    MembershipState,
    Pool,
    Quote,
    QuoteState,
    QuoteTerms,
    allot,
    check_tiers,
    check_validity,
    choose,
    landed_cost,
    pooled_unit_price,
)

QUOTE_POOL = "quote_pool"
AWARD_POOL = "award_pool"


async def begin_quote(tx: Transaction, pool_id: UUID, terms: QuoteTerms) -> Saga:
    """Begin to quote: the machines are looked up at marketplace first.

    Raises:
        NotFound, TransitionRefused, QuotingClosed, OwnPool, QuoteExists, MachineInOrder: As they
            say.
        InvalidArgument: Tiers out of order, fewer machines than pooled, or a bad validity.
    """
    seller = principal().require_party()
    pool = await _lock_for_quote(tx, pool_id, seller=seller)
    check_tiers(terms.tiers, unit_price_fen=terms.unit_price_fen)
    check_validity(terms.valid_until, today=tx.today)
    if len(terms.machines) < pool.pooled_quantity:
        raise InvalidArgument(
            "machines", f"must name {pool.pooled_quantity} or more, the pooled quantity"
        )
    if taken := await order_store.list_live_machines(tx.connection, terms.machines):
        raise MachineInOrder(taken)
    return await tx.start_saga(
        QUOTE_POOL,
        name("quotes", new_id()),
        facts={
            "pool": str(pool_id),
            "seller": seller,
            "specification": asdict(pool.specification),
            "unit_price_fen": terms.unit_price_fen,
            "tiers": [[tier.from_quantity, str(tier.discount_rate)] for tier in terms.tiers],
            "transport_fen": terms.transport_fen,
            "other_fen": terms.other_fen,
            "machines": list(terms.machines),
            "valid_until": terms.valid_until.isoformat(),
        },
    )


async def create_quote(
    tx: Transaction, quote_id: UUID, pool_id: UUID, terms: QuoteTerms, *, seller: str
) -> None:
    """Write a quote whose machines were found as they should be.

    Raises:
        NotFound, TransitionRefused, QuotingClosed, OwnPool, QuoteExists: As they say.
    """
    pool = await _lock_for_quote(tx, pool_id, seller=seller)
    step = POOL.next(pool.state, "quote", subject=pool.name)
    price_fen = pooled_unit_price(terms.unit_price_fen, terms.tiers, quantity=pool.pooled_quantity)
    cost_fen = landed_cost(
        price_fen,
        transport_fen=terms.transport_fen,
        other_fen=terms.other_fen,
        quantity=pool.pooled_quantity,
    )
    quote = Quote(
        id=quote_id,
        version=1,
        pool_id=pool_id,
        seller=seller,
        state=QuoteState.OFFERED,
        unit_price_fen=terms.unit_price_fen,
        tiers=terms.tiers,
        transport_fen=terms.transport_fen,
        other_fen=terms.other_fen,
        pooled_unit_price_fen=price_fen,
        landed_cost_fen=cost_fen,
        machines=terms.machines,
        valid_until=terms.valid_until,
        lapse_reason="",
        create_time=tx.now,
        update_time=tx.now,
    )
    if not await quote_store.insert_quote(tx.connection, quote):
        raise QuoteExists(pool.name)
    await pool_store.update_pool(tx.connection, pool.moved(step, at=tx.now))


async def get_quote(database: Database, quote_id: UUID, *, viewer: Principal) -> Quote:
    """Return a quote.

    Raises:
        NotFound: There is none that the viewer may see.
    """
    async with database.read() as connection:
        quote = await quote_store.find_quote(connection, quote_id, viewer=viewer)
    if quote is None:
        raise NotFound(name("quotes", quote_id))
    return quote


async def withdraw(tx: Transaction, quote_id: UUID, *, etag: str) -> Quote:
    """Let a seller take its quote back before the award.

    Raises:
        NotFound: There is no such quote of the caller's.
        SagaRunning: The pool is being awarded.
        EtagMismatch, TransitionRefused: As they say.
    """
    found = await quote_store.find_quote(tx.connection, quote_id, viewer=principal())
    if found is None or found.seller != principal().party:
        raise NotFound(name("quotes", quote_id))
    # The pool is locked first, as the award does it.
    pool = await lock_pool(tx, found.pool_id)
    await sagas.require_idle(tx.connection, pool.name)
    quote = await quote_store.find_quote(tx.connection, quote_id, viewer=principal(), lock=True)
    assert quote is not None, "quotes are never removed"
    check_etag(etag, quote.version)
    step = QUOTE.next(quote.state, "withdraw", subject=quote.name)
    return await quote_store.set_state(tx.connection, quote, step.target, at=tx.now)


async def begin_award(tx: Transaction, pool_id: UUID, *, etag: str) -> Saga:
    """Choose the winner and allot its machines; they are reserved before anything is written.

    Raises:
        NotFound, NotTheOrganiser, EtagMismatch, SagaRunning, TransitionRefused: As they say.
        QuotingOpen: Sellers may still quote.
        NoValidQuote: No quote can win today.
        MachineInOrder: A machine of the winner is in another live order.
    """
    pool = await lock_pool(tx, pool_id)
    await sagas.require_idle(tx.connection, pool.name)
    check_etag(etag, pool.version)
    POOL.next(pool.state, "award", subject=pool.name)
    require_organiser(pool, "award")
    if pool.quote_until is not None and tx.today <= pool.quote_until:
        raise QuotingOpen(pool.name, pool.quote_until)
    winner = choose(
        await quote_store.list_offered(tx.connection, pool_id),
        quantity=pool.pooled_quantity,
        on=tx.today,
        pool=pool.name,
    )
    joined = await pool_store.list_joined(tx.connection, pool_id)
    return await tx.start_saga(
        AWARD_POOL,
        pool.name,
        facts={
            "quote": str(winner.id),
            "orders": [
                {
                    "order": str(new_id()),
                    "membership": str(membership.id),
                    "member": membership.member,
                    "machines": list(machines),
                }
                for membership, machines in allot(winner.machines, joined)
            ],
        },
    )


async def award(tx: Transaction, pool_id: UUID, facts: Mapping[str, Any]) -> None:
    """Write which quote has won and the order of every member; its machines are reserved.

    Both in one transaction: an award without its orders would bind a seller to nothing.

    Raises:
        QuoteGone: The quote is not offered any more.
        MachineInOrder: A machine of it came into another live order meanwhile.
        TotalTooLarge: A member's order would be too large.
    """
    pool = await lock_pool(tx, pool_id)
    quote = await _lock_quote(tx, UUID(facts["quote"]))
    if quote.state is not QuoteState.OFFERED:
        raise QuoteGone(quote.name)
    won = QUOTE.next(quote.state, "award", subject=quote.name)
    await quote_store.set_state(tx.connection, quote, won.target, at=tx.now)
    await quote_store.lose_others(tx.connection, pool_id, at=tx.now)
    awarded = await _write_award(tx, pool, quote, facts)
    await _write_orders(tx, pool, quote, facts)
    step = POOL.next(awarded.state, "order", subject=pool.name)
    ordered = awarded.moved(step, at=tx.now)
    await pool_store.update_pool(tx.connection, ordered)
    await tx.cancel_timers(pool.name)
    await tx.emit(
        events.DemandPoolOrdered(
            pool=pool.name,
            sequence=ordered.event_sequence,
            orders=[name("orders", planned["order"]) for planned in facts["orders"]],
        )
    )


async def mark_lapsed(tx: Transaction, quote_id: UUID, refusal: DomainError) -> None:
    """Write that a quote cannot win because a machine of it could not be reserved."""
    quote = await _lock_quote(tx, quote_id)
    if quote.state is QuoteState.OFFERED:
        step = QUOTE.next(quote.state, "lapse", subject=quote.name)
        await quote_store.set_state(
            tx.connection, quote, step.target, at=tx.now, lapse_reason=refusal.reason
        )


async def _write_award(tx: Transaction, pool: Pool, quote: Quote, facts: Mapping[str, Any]) -> Pool:
    step = POOL.next(pool.state, "award", subject=pool.name)
    awarded = pool.moved(
        step,
        at=tx.now,
        awarded_quote_id=quote.id,
        awarded_unit_price_fen=quote.pooled_unit_price_fen,
        awarded_landed_cost_fen=quote.landed_cost_fen,
    )
    await pool_store.update_pool(tx.connection, awarded)
    await tx.emit(
        events.DemandPoolAwarded(
            pool=pool.name,
            sequence=awarded.event_sequence,
            quote=quote.name,
            seller=quote.seller,
            quantity=pool.pooled_quantity,
            unit_price=wire.money(quote.pooled_unit_price_fen),
            landed_cost=wire.money(quote.landed_cost_fen),
            members=[
                events.AwardedMember(
                    member=planned["member"],
                    quantity=len(planned["machines"]),
                    order=name("orders", planned["order"]),
                )
                for planned in facts["orders"]
            ],
            machines=[machine for planned in facts["orders"] for machine in planned["machines"]],
        )
    )
    return awarded


async def _write_orders(
    tx: Transaction, pool: Pool, quote: Quote, facts: Mapping[str, Any]
) -> None:
    joined = await pool_store.list_joined(tx.connection, pool.id)
    addresses = {str(membership.id): membership.address for membership in joined}
    policy = await policy_store.policy_in_force(tx.connection)
    for planned in facts["orders"]:
        await order_handlers.create_order(
            tx,
            UUID(planned["order"]),
            buyer=planned["member"],
            seller=quote.seller,
            lines=quote.lines_of(planned["machines"]),
            address=addresses[planned["membership"]],
            policy=policy,
            origin=Origin(pool_id=pool.id),
        )
    await pool_store.set_orders(
        tx.connection,
        {UUID(planned["membership"]): UUID(planned["order"]) for planned in facts["orders"]},
        at=tx.now,
    )


async def _lock_for_quote(tx: Transaction, pool_id: UUID, *, seller: str) -> Pool:
    """Return a pool that a seller may quote in today, locked for change."""
    pool = await lock_pool(tx, pool_id)
    POOL.next(pool.state, "quote", subject=pool.name)
    await sagas.require_idle(tx.connection, pool.name)
    if pool.quote_until is not None and tx.today > pool.quote_until:
        raise QuotingClosed(pool.name, pool.quote_until)
    membership = await pool_store.find_membership(tx.connection, pool_id, member=seller)
    is_member = membership is not None and membership.state is MembershipState.JOINED
    if seller == pool.organiser or is_member:
        raise OwnPool(pool.name)
    if await quote_store.has_quote(tx.connection, pool_id, seller=seller):
        raise QuoteExists(pool.name)
    return pool


async def _lock_quote(tx: Transaction, quote_id: UUID) -> Quote:
    quote = await quote_store.find_quote(tx.connection, quote_id, viewer=principal(), lock=True)
    assert quote is not None, "quotes are never removed"
    return quote
