"""Trade: an order from confirmation through its escrow to settlement."""

from dataclasses import dataclass

from ironloop.procurement.v1 import orders_pb2, orders_pb2_grpc

from infra.local.client import Actor
from infra.local.demo.act_list import Listed
from infra.local.demo.fleet import FleetMachine
from infra.local.demo.scene import Scene, document, fen, request_id
from services.kit.amounts import yuan


@dataclass(frozen=True, slots=True)
class Purchase:
    """A machine that its buyer holds the title of.

    Attributes:
        price_fen: What was paid for it, transport included.
    """

    machine: str
    fleet_machine: FleetMachine
    price_fen: int


async def buy_listed(scene: Scene, listed: Listed) -> Purchase:
    """Let the dealer buy one listed machine through escrow."""
    dealer = scene.cast.dealer.stub(orders_pb2_grpc.OrderServiceStub)
    order = await dealer.CreateOrder(
        orders_pb2.CreateOrderRequest(
            request_id=request_id(),
            listings=[listed.listing],
            delivery_address=address("dealer"),
        )
    )
    settled = await carry_out(scene, order, seller=scene.cast.manufacturer, buyer=scene.cast.dealer)
    tell_settled(scene, settled)
    machine = listed.fleet_machine
    return Purchase(scene.machines[machine.equipment_id], machine, fen(settled.total))


async def carry_out(
    scene: Scene, order: orders_pb2.Order, *, seller: Actor, buyer: Actor
) -> orders_pb2.Order:
    """Take an order to its settlement; the seller confirms one that is not confirmed yet."""
    selling = seller.stub(orders_pb2_grpc.OrderServiceStub)
    buying = buyer.stub(orders_pb2_grpc.OrderServiceStub)
    if order.state == orders_pb2.ORDER_STATE_CREATED:
        await selling.ConfirmOrder(
            orders_pb2.ConfirmOrderRequest(request_id=request_id(), name=order.name)
        )
    await _fund_twice(scene, buyer, order)
    await selling.DispatchOrder(
        orders_pb2.DispatchOrderRequest(
            request_id=request_id(),
            name=order.name,
            dispatch_document=document("waybills", order.uid, "application/pdf"),
        )
    )
    await selling.DeliverOrder(
        orders_pb2.DeliverOrderRequest(
            request_id=request_id(),
            name=order.name,
            delivery_proof=document("deliveries", order.uid, "image/jpeg"),
        )
    )
    await buying.AcceptOrder(
        orders_pb2.AcceptOrderRequest(request_id=request_id(), name=order.name)
    )
    await scene.time.until_at_rest()
    settled = await buying.GetOrder(orders_pb2.GetOrderRequest(name=order.name))
    assert settled.state == orders_pb2.ORDER_STATE_SETTLED, settled
    return settled


def tell_settled(scene: Scene, settled: orders_pb2.Order) -> None:
    """Say what a settled order moved."""
    scene.narrator.tell(
        scene.cast.name_of(settled.buyer),
        f"buys {len(settled.lines)} for {yuan(fen(settled.total))}: escrow released, platform fee "
        f"{yuan(fen(settled.settlement.platform_fee))}, title moved",
    )


async def _fund_twice(scene: Scene, buyer: Actor, order: orders_pb2.Order) -> None:
    """Fund the escrow, and repeat the very same call as a client would after a lost answer."""
    before_fen = await scene.wallet_fen(buyer)
    request = orders_pb2.FundOrderRequest(request_id=request_id(), name=order.name)
    buying = buyer.stub(orders_pb2_grpc.OrderServiceStub)
    first, second = await buying.FundOrder(request), await buying.FundOrder(request)
    paid_fen = before_fen - await scene.wallet_fen(buyer)
    is_paid_once = first == second and paid_fen == fen(order.total)
    scene.checks["a retried payment paid once"] = (
        scene.checks.get("a retried payment paid once", True) and is_paid_once
    )


def address(recipient: str) -> orders_pb2.DeliveryAddress:
    """Return where a recipient of the demo lives."""
    return orders_pb2.DeliveryAddress(
        recipient=recipient,
        street="1 Yuelu Avenue",
        city="Changsha",
        region="Hunan",
        postal_code="410000",
        country_code="CN",
    )
