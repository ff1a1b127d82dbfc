"""Demand pools (集采): demand of several buyers gathered, quoted, awarded, and carried out."""

import asyncio
from datetime import timedelta
from decimal import Decimal

from ironloop.marketplace.v1 import machines_pb2
from ironloop.procurement.v1 import orders_pb2, orders_pb2_grpc, pools_pb2, pools_pb2_grpc

from infra.local.client import Actor
from infra.local.demo.act_trade import Purchase, address, carry_out, tell_settled
from infra.local.demo.attributes import ask_fen_of
from infra.local.demo.fleet import FleetMachine
from infra.local.demo.scene import Scene, fen, request_id
from services.kit import wire
from services.kit.amounts import yuan

POOL_DISCOUNT = Decimal("0.04")


async def buy_pooled(
    scene: Scene, machines: list[FleetMachine], *, guide_fen: int
) -> list[Purchase]:
    """Pool the demand of the dealer and two buyers, award it, and carry the orders out.

    Args:
        machines: At least four of one class; the manufacturer offers all of them.
        guide_fen: What one like them is worth by the model; the list price lies near it.
    """
    dealer = scene.cast.dealer
    quantities = {dealer: len(machines) - 2, **dict.fromkeys(scene.cast.buyers, 1)}
    pool = await _gather_pool(scene, machines, quantities)
    await _award_pool(scene, pool, machines, ask_fen_of(machines[0].equipment_id, guide_fen))
    by_name = {scene.machines[machine.equipment_id]: machine for machine in machines}
    awarded = await asyncio.gather(*(_orders_of(member, pool) for member in quantities))
    settled = await asyncio.gather(
        *(
            carry_out(scene, order, seller=scene.cast.manufacturer, buyer=member)
            for member, orders in zip(quantities, awarded, strict=True)
            for order in orders
        )
    )
    for order in settled:
        tell_settled(scene, order)
    return [
        Purchase(line.machine, by_name[line.machine], fen(line.price))
        for order in settled
        if order.buyer == dealer.party
        for line in order.lines
    ]


async def _orders_of(member: Actor, pool: str) -> list[orders_pb2.Order]:
    answer = await member.stub(orders_pb2_grpc.OrderServiceStub).ListOrders(
        orders_pb2.ListOrdersRequest(side=orders_pb2.ORDER_SIDE_BUYER, pool=pool)
    )
    return list(answer.orders)


async def _gather_pool(
    scene: Scene, machines: list[FleetMachine], quantities: dict[Actor, int]
) -> str:
    """Let the dealer open a pool, everybody join it, and lock it at its target."""
    pools = scene.cast.dealer.stub(pools_pb2_grpc.PoolServiceStub)
    today = await scene.time.today()
    pool = await pools.CreatePool(
        pools_pb2.CreatePoolRequest(
            request_id=request_id(),
            specification=pools_pb2.MachineSpecification(
                equipment_class=wire.enum_name(
                    machines_pb2.EquipmentClass,
                    machines[0].template.equipment_class,
                    prefix="EQUIPMENT_CLASS_",
                )
            ),
            region="Hunan",
            minimum_quantity=3,
            target_quantity=len(machines),
            join_until=wire.date(today + timedelta(days=1)),
            quote_until=wire.date(today + timedelta(days=2)),
        )
    )
    for member, quantity in quantities.items():
        who = scene.cast.name_of(member.party)
        await member.stub(pools_pb2_grpc.PoolServiceStub).JoinPool(
            pools_pb2.JoinPoolRequest(
                request_id=request_id(),
                pool=pool.name,
                quantity=quantity,
                delivery_address=address(who),
            )
        )
        scene.narrator.tell(who, f"joins the pool for {quantity}")
    await pools.LockPool(pools_pb2.LockPoolRequest(request_id=request_id(), name=pool.name))
    return pool.name


async def _award_pool(
    scene: Scene, pool: str, machines: list[FleetMachine], unit_price_fen: int
) -> None:
    """Let the manufacturer quote with a tier price, and award once quotes are no longer taken."""
    pools = scene.cast.dealer.stub(pools_pb2_grpc.PoolServiceStub)
    today = await scene.time.today()
    await scene.cast.manufacturer.stub(pools_pb2_grpc.PoolServiceStub).QuotePool(
        pools_pb2.QuotePoolRequest(
            request_id=request_id(),
            pool=pool,
            unit_price=wire.money(unit_price_fen),
            tiers=[pools_pb2.PriceTier(from_quantity=3, discount_rate=wire.decimal(POOL_DISCOUNT))],
            transport=wire.money(0),
            other=wire.money(0),
            machines=[scene.machines[machine.equipment_id] for machine in machines],
            valid_until=wire.date(today + timedelta(days=35)),
        )
    )
    await scene.time.advance_to(today + timedelta(days=3))
    await pools.AwardPool(pools_pb2.AwardPoolRequest(request_id=request_id(), name=pool))
    await scene.time.until_at_rest()
    awarded = await pools.GetPool(pools_pb2.GetPoolRequest(name=pool))
    scene.narrator.tell(
        "platform",
        f"awards {awarded.pooled_quantity} machines at {yuan(fen(awarded.awarded_unit_price))} "
        f"each (list {yuan(unit_price_fen)}, {POOL_DISCOUNT:.0%} off for the pool)",
    )
