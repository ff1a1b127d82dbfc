"""Pools, memberships and quotes as the contract shows them, in answers and in events."""

from ironloop.procurement.v1 import pools_pb2

from services.kit import wire
from services.kit.etags import etag
from services.kit.ids import name
from services.procurement.order_wire import address_to_wire
from services.procurement.pool_model import (
    Membership,
    Pool,
    PoolFailure,
    PriceTier,
    Quote,
    Specification,
)


def pool_to_wire(pool: Pool) -> pools_pb2.Pool:
    """Return a pool as the contract shows it."""
    shown = pools_pb2.Pool(
        name=pool.name,
        uid=str(pool.id),
        etag=etag(pool.version),
        event_sequence=pool.event_sequence,
        state=wire.enum_number(pools_pb2.PoolState, pool.state, prefix="POOL_STATE_"),
        organiser=pool.organiser,
        specification=specification_to_wire(pool.specification),
        region=pool.region,
        minimum_quantity=pool.minimum_quantity,
        target_quantity=pool.target_quantity,
        pooled_quantity=pool.pooled_quantity,
        member_count=pool.member_count,
        join_until=wire.date(pool.join_until),
        quote_until=wire.date(pool.quote_until) if pool.quote_until else None,
        create_time=wire.instant(pool.create_time),
        update_time=wire.instant(pool.update_time),
    )
    if pool.awarded_quote_id:
        shown.awarded_quote = name("quotes", pool.awarded_quote_id)
        shown.awarded_unit_price.CopyFrom(wire.money(pool.awarded_unit_price_fen))
        shown.awarded_landed_cost.CopyFrom(wire.money(pool.awarded_landed_cost_fen))
    if pool.failure:
        shown.failure = failure_number(pool.failure)
    return shown


def membership_to_wire(membership: Membership) -> pools_pb2.Membership:
    """Return a membership as the contract shows it."""
    return pools_pb2.Membership(
        name=membership.name,
        uid=str(membership.id),
        pool=name("demandPools", membership.pool_id),
        member=membership.member,
        quantity=membership.quantity,
        delivery_address=address_to_wire(membership.address),
        state=wire.enum_number(
            pools_pb2.MembershipState, membership.state, prefix="MEMBERSHIP_STATE_"
        ),
        order=name("orders", membership.order_id) if membership.order_id else "",
        join_time=wire.instant(membership.join_time),
        update_time=wire.instant(membership.update_time),
    )


def quote_to_wire(quote: Quote) -> pools_pb2.Quote:
    """Return a quote as the contract shows it."""
    return pools_pb2.Quote(
        name=quote.name,
        uid=str(quote.id),
        etag=etag(quote.version),
        pool=name("demandPools", quote.pool_id),
        seller=quote.seller,
        state=wire.enum_number(pools_pb2.QuoteState, quote.state, prefix="QUOTE_STATE_"),
        unit_price=wire.money(quote.unit_price_fen),
        tiers=[
            pools_pb2.PriceTier(
                from_quantity=tier.from_quantity, discount_rate=wire.decimal(tier.discount_rate)
            )
            for tier in quote.tiers
        ],
        transport=wire.money(quote.transport_fen),
        other=wire.money(quote.other_fen),
        pooled_unit_price=wire.money(quote.pooled_unit_price_fen),
        landed_cost=wire.money(quote.landed_cost_fen),
        machines=quote.machines,
        valid_until=wire.date(quote.valid_until),
        lapse_reason=quote.lapse_reason,
        create_time=wire.instant(quote.create_time),
        update_time=wire.instant(quote.update_time),
    )


def specification_to_wire(specification: Specification) -> pools_pb2.MachineSpecification:
    """Return a specification as the contract shows it."""
    return pools_pb2.MachineSpecification(
        make=specification.make,
        model=specification.model,
        equipment_class=specification.equipment_class,
        build_year_min=specification.build_year_min,
        build_year_max=specification.build_year_max,
    )


def specification_from_wire(stated: pools_pb2.MachineSpecification) -> Specification:
    """Return a stated specification."""
    return Specification(
        make=stated.make,
        model=stated.model,
        equipment_class=stated.equipment_class,
        build_year_min=stated.build_year_min,
        build_year_max=stated.build_year_max,
    )


def tier_from_wire(stated: pools_pb2.PriceTier, *, field: str) -> PriceTier:
    """Return a stated tier.

    Raises:
        InvalidArgument: Its rate is no number; names `field`.
    """
    return PriceTier(
        from_quantity=stated.from_quantity,
        discount_rate=wire.to_decimal(stated.discount_rate, field=field),
    )


def failure_number(failure: PoolFailure) -> pools_pb2.PoolFailure.ValueType:
    """Return a failure's number in the contract."""
    number: pools_pb2.PoolFailure.ValueType = wire.enum_number(
        pools_pb2.PoolFailure, failure, prefix="POOL_FAILURE_"
    )
    return number
