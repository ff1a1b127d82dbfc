"""What is done with accepted orders until they are settled, and the policy of it."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

from ironloop.options.v1 import options_pb2
from ironloop.procurement.v1 import procurement_events_pb2 as events

from services.kit import wire
from services.kit.calendar import BusinessCalendar
from services.kit.errors import DomainError, InvalidArgument
from services.kit.principals import principal
from services.kit.timers import Timer
from services.kit.transaction import Transaction
from services.procurement import order_store, policy_store
from services.procurement.lifecycle import ORDER
from services.procurement.order_handlers import SETTLE_ORDER, lock, lock_idle, require_side
from services.procurement.order_model import (
    Order,
    OrderSettlement,
    OrderState,
    TradePolicy,
    next_attempt_at,
    sale_prices,
)
from services.procurement.order_wire import settlement_to_wire

SETTLEMENT_TIMER = "order_settlement"

FEE_RATE_MAX = Decimal("0.2")  # a platform that keeps more than a fifth has mistyped its rate
FEE_RATE_PLACES = 5


async def retry_settlement(tx: Transaction, order_id: UUID, *, etag: str) -> Order:
    """Try to settle a blocked order anew, with a saga and so with transfer ids of its own.

    Raises:
        NotFound, NotAPartyToThis, EtagMismatch, SagaRunning, TransitionRefused: As they say.
    """
    order = await lock_idle(tx, order_id, etag=etag)
    ORDER.next(order.state, "retry_settlement", subject=order.name)
    if not principal().holds(options_pb2.ROLE_OPERATOR):
        require_side(order, "settle")
    return await _retry(tx, order)


async def retry_when_due(tx: Transaction, timer: Timer) -> None:
    """Try to settle a blocked order anew on the next business day."""
    order = await lock(tx, UUID(timer.subject.removeprefix("orders/")))
    if order.state is OrderState.SETTLEMENT_BLOCKED:
        await _retry(tx, order)


async def mark_blocked(
    tx: Transaction, order_id: UUID, refusal: DomainError, *, calendar: BusinessCalendar
) -> None:
    """Write that settlement was refused: the money stays in escrow until the next attempt."""
    order = await lock(tx, order_id)
    step = ORDER.next(order.state, "block", subject=order.name)
    blocked = order.moved(
        step, at=tx.now, block_reason=refusal.reason, block_detail=refusal.message
    )
    await order_store.update_order(tx.connection, blocked)
    await tx.set_timer(SETTLEMENT_TIMER, order.name, due_at=next_attempt_at(tx.today, calendar))
    await tx.emit(
        events.OrderSettlementBlocked(
            order=order.name,
            sequence=blocked.event_sequence,
            buyer=order.buyer,
            seller=order.seller,
            reason=refusal.reason,
        )
    )


async def mark_settled(
    tx: Transaction,
    order_id: UUID,
    settlement: OrderSettlement,
    *,
    hours_meters: Mapping[str, Decimal],
) -> None:
    """Write that everyone is paid and the titles are the buyer's.

    Args:
        hours_meters: Hours by machine, where the registry knows them.
    """
    order = await lock(tx, order_id)
    step = ORDER.next(order.state, "settle", subject=order.name)
    settled = order.moved(step, at=tx.now, settlement=settlement)
    await order_store.update_order(tx.connection, settled)
    await order_store.insert_payoffs(tx.connection, order.id, settlement.payout.payoffs)
    await order_store.release_machines(tx.connection, order.id)
    await tx.emit(
        events.OrderSettled(
            order=order.name,
            sequence=settled.event_sequence,
            buyer=order.buyer,
            seller=order.seller,
            machines=[
                events.SoldMachine(
                    machine=machine,
                    price=wire.money(price_fen),
                    hours_meter=(
                        wire.decimal(hours_meters[machine]) if machine in hours_meters else None
                    ),
                )
                for machine, price_fen in sale_prices(
                    order.lines, allowance_fen=order.allowance_fen
                ).items()
            ],
            settlement=settlement_to_wire(settlement),
            sold_on=wire.date(tx.today),
        )
    )


async def publish_policy(
    tx: Transaction, *, fee_rate: Decimal, payment_days: int, acceptance_business_days: int
) -> TradePolicy:
    """Put a new version of the trade policy in force.

    Raises:
        InvalidArgument: The rate is out of its limits.
    """
    exponent = fee_rate.normalize().as_tuple().exponent
    assert isinstance(exponent, int), "the number is finite"
    if not 0 <= fee_rate <= FEE_RATE_MAX or exponent < -FEE_RATE_PLACES:
        raise InvalidArgument(
            "platform_fee_rate",
            f"must lie in 0 to {FEE_RATE_MAX} with at most {FEE_RATE_PLACES} decimals",
        )
    await policy_store.lock_policies(tx.connection)
    former = await policy_store.policy_in_force(tx.connection)
    policy = replace(
        former,
        version=former.version + 1,
        platform_fee_rate=fee_rate,
        payment_days=payment_days,
        acceptance_business_days=acceptance_business_days,
        publisher=principal().actor,
        create_time=tx.now,
    )
    await policy_store.insert_policy(tx.connection, policy)
    return policy


async def _retry(tx: Transaction, order: Order) -> Order:
    step = ORDER.next(order.state, "retry_settlement", subject=order.name)
    accepted = order.moved(step, at=tx.now, block_reason="", block_detail="")
    await order_store.update_order(tx.connection, accepted)
    await tx.cancel_timers(order.name, kind=SETTLEMENT_TIMER)
    await tx.start_saga(SETTLE_ORDER, order.name)
    return accepted
