"""Trade: wallets funded, machines registered, inspected, listed, and bought through escrow."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import grpc
from ironloop.marketplace.v1 import (
    inspections_pb2,
    listings_pb2,
    listings_pb2_grpc,
    machines_pb2,
    machines_pb2_grpc,
)
from ironloop.procurement.v1 import orders_pb2, orders_pb2_grpc, pools_pb2, pools_pb2_grpc
from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc

from infra.local.client import Actor
from infra.local.demo.attributes import ask_fen_of
from infra.local.demo.fleet import FleetMachine
from infra.local.demo.scene import MAIN_LEDGER, Scene, document, fen, request_id
from services.kit import wire
from services.kit.amounts import yuan
from services.kit.ids import new_id

LISTED_MAX = 3  # enough to show the market; the rest waits for the pool
POOL_DISCOUNT = Decimal("0.04")
PAID_IN_FEN = {  # what each brings along, fen
    "dealer": 600_000_000,
    "lessee": 200_000_000,
    "financier": 1_000_000_000,
    "buyer 1": 200_000_000,
    "buyer 2": 200_000_000,
}


@dataclass(frozen=True, slots=True)
class Purchase:
    """A machine that its buyer holds the title of.

    Attributes:
        price_fen: What was paid for it, transport included.
    """

    machine: str
    fleet_machine: FleetMachine
    price_fen: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A published listing.

    Attributes:
        guide_fen: The median of its price guide.
    """

    listing: str
    fleet_machine: FleetMachine
    guide_fen: int


async def fund_wallets(scene: Scene) -> None:
    """Let the operator open wallets and pay money into them from the bank's mirror account."""
    ledger = scene.cast.operator.stub(settlement_pb2_grpc.SettlementServiceStub)
    everyone = _everyone(scene)
    opened = await ledger.CreateAccounts(
        settlement_pb2.CreateAccountsRequest(
            accounts=[
                settlement_pb2.NewAccount(kind=settlement_pb2.ACCOUNT_KIND_BANK),
                *(
                    settlement_pb2.NewAccount(
                        kind=settlement_pb2.ACCOUNT_KIND_WALLET, owner=actor.party
                    )
                    for actor in everyone.values()
                ),
            ]
        )
    )
    bank, *wallets = (int(account.name.split("/")[1]) for account in opened.accounts)
    wallet_of = dict(zip(everyone, wallets, strict=True))
    posted = await ledger.PostTransfers(
        settlement_pb2.PostTransfersRequest(
            transfers=[
                settlement_pb2.Transfer(
                    id=str(new_id()),
                    debit_account=bank,
                    credit_account=wallet_of[name],
                    amount_fen=amount_fen,
                    kind=settlement_pb2.TRANSFER_KIND_POSTED,
                    code=settlement_pb2.TRANSFER_CODE_FUND_WALLET,
                    purpose=MAIN_LEDGER,
                    memo="paid in at the bank",
                )
                for name, amount_fen in PAID_IN_FEN.items()
            ]
        )
    )
    created = settlement_pb2.RESULT_CODE_CREATED
    assert all(result.code == created for result in posted.results), posted
    scene.paid_in_fen = {everyone[name].party: amount for name, amount in PAID_IN_FEN.items()}
    total_fen = sum(PAID_IN_FEN.values())
    scene.narrator.tell("operator", f"pays {yuan(total_fen)} into {len(PAID_IN_FEN)} wallets")


async def import_fleet(scene: Scene) -> None:
    """Register every machine of the page as the manufacturer's."""
    registry = scene.cast.manufacturer.stub(machines_pb2_grpc.MachineServiceStub)
    rows = [
        machines_pb2.MachineRow(
            pin=machine.pin,
            serial_number=machine.serial_number,
            make=machine.make,
            model=machine.model,
            equipment_class=machine.template.equipment_class,
            build_year=machine.build_year,
            hours_meter=f"{machine.hours_meter:.2f}",
            replacement_cost_fen=machine.template.replacement_cost_fen,
        )
        for machine in scene.fleet
    ]
    for _ in range(2):  # twice: an import may be repeated
        answer = await registry.ImportMachines(machines_pb2.ImportMachinesRequest(rows=rows))
        scene.narrator.tell(
            "manufacturer",
            f"imports {len(rows)} machines: {answer.created} created, "
            f"{answer.unchanged} unchanged, {answer.refused} refused",
        )
    for report, machine in zip(answer.reports, scene.fleet, strict=True):
        if report.name:
            scene.machines[machine.equipment_id] = report.name
        else:
            reasons = "; ".join(refusal.description for refusal in report.refusals)
            scene.narrator.tell("registry", f"refuses {machine.equipment_id}: {reasons}")
    scene.fleet = [machine for machine in scene.fleet if machine.equipment_id in scene.machines]


async def list_machines(scene: Scene, machines: list[FleetMachine]) -> list[Listed]:
    """Draft, inspect, price by the model's guide and publish listings.

    A machine that the model does not value without review stays a draft.
    """
    published = []
    for machine in machines:
        try:
            published.append(await _list_machine(scene, machine))
        except grpc.aio.AioRpcError as refusal:
            if refusal.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise
            scene.narrator.tell("marketplace", f"refuses a listing: {refusal.details()}")
    return published


async def _list_machine(scene: Scene, machine: FleetMachine) -> Listed:
    seller = scene.cast.manufacturer.stub(listings_pb2_grpc.ListingServiceStub)
    inspector = scene.cast.inspector.stub(listings_pb2_grpc.ListingServiceStub)
    guessed_fen = machine.template.replacement_cost_fen // 2
    drafted = await seller.CreateListing(
        listings_pb2.CreateListingRequest(
            request_id=request_id(),
            machine=scene.machines[machine.equipment_id],
            reference=machine.equipment_id,
            content=listings_pb2.ListingContent(
                format=listings_pb2.LISTING_FORMAT_FIXED,
                ask=wire.money(guessed_fen),
                price_override_reason="a first ask before the guide is known",
                region="Hunan",
                description=f"{machine.make} {machine.model}",
                photos=[document("photos", machine.equipment_id, "image/jpeg")],
                title_proofs=[document("titles", machine.equipment_id, "application/pdf")],
                lien_disclosure=listings_pb2.LienDisclosure(statement="no liens"),
            ),
        )
    )
    await seller.SubmitListing(
        listings_pb2.SubmitListingRequest(request_id=request_id(), name=drafted.name)
    )
    await inspector.RecordInspection(
        inspections_pb2.RecordInspectionRequest(
            request_id=request_id(),
            listing=drafted.name,
            inspect_date=wire.date(await scene.time.today()),
            grade=inspections_pb2.CONDITION_GRADE_GOOD,
            hours_meter=wire.decimal(machine.hours_meter),
            report=document("inspections", machine.equipment_id, "application/pdf"),
        )
    )
    published = await seller.PublishListing(
        listings_pb2.PublishListingRequest(request_id=request_id(), name=drafted.name)
    )
    guide_fen = fen(published.price_guide.fmv.q50)
    ask_fen = ask_fen_of(machine.equipment_id, guide_fen)
    await seller.RepriceListing(
        listings_pb2.RepriceListingRequest(
            request_id=request_id(), name=drafted.name, ask=wire.money(ask_fen)
        )
    )
    scene.valuations[published.price_guide.valuation] = scene.cast.manufacturer
    scene.narrator.tell(
        "manufacturer",
        f"lists {machine.make} {machine.model} of {machine.build_year}, "
        f"{machine.hours_meter:,.0f} h, for {yuan(ask_fen)}; guide {yuan(guide_fen)}, "
        f"grade {published.price_guide.grade}",
    )
    return Listed(drafted.name, machine, guide_fen)


async def buy_listed(scene: Scene, listed: Listed) -> Purchase:
    """Let the dealer buy one listed machine through escrow."""
    dealer = scene.cast.dealer.stub(orders_pb2_grpc.OrderServiceStub)
    order = await dealer.CreateOrder(
        orders_pb2.CreateOrderRequest(
            request_id=request_id(),
            listings=[listed.listing],
            delivery_address=_address("dealer"),
        )
    )
    settled = await _carry_out(scene, scene.cast.dealer, order)
    machine = listed.fleet_machine
    return Purchase(scene.machines[machine.equipment_id], machine, fen(settled.total))


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
    bought: list[Purchase] = []
    for member in quantities:
        orders = member.stub(orders_pb2_grpc.OrderServiceStub)
        answer = await orders.ListOrders(
            orders_pb2.ListOrdersRequest(side=orders_pb2.ORDER_SIDE_BUYER, pool=pool)
        )
        for order in answer.orders:
            settled = await _carry_out(scene, member, order)
            if member is dealer:
                bought += [
                    Purchase(line.machine, by_name[line.machine], fen(line.price))
                    for line in settled.lines
                ]
    return bought


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
                delivery_address=_address(who),
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


async def _carry_out(scene: Scene, buyer: Actor, order: orders_pb2.Order) -> orders_pb2.Order:
    """Take an order from confirmation to settlement."""
    seller = scene.cast.manufacturer.stub(orders_pb2_grpc.OrderServiceStub)
    buying = buyer.stub(orders_pb2_grpc.OrderServiceStub)
    await seller.ConfirmOrder(
        orders_pb2.ConfirmOrderRequest(request_id=request_id(), name=order.name)
    )
    await _fund_twice(scene, buyer, order)
    await seller.DispatchOrder(
        orders_pb2.DispatchOrderRequest(
            request_id=request_id(),
            name=order.name,
            dispatch_document=document("waybills", order.uid, "application/pdf"),
        )
    )
    await seller.DeliverOrder(
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
    scene.narrator.tell(
        scene.cast.name_of(buyer.party),
        f"buys {len(settled.lines)} for {yuan(fen(settled.total))}: escrow released, platform fee "
        f"{yuan(fen(settled.settlement.platform_fee))}, title moved",
    )
    return settled


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


def _everyone(scene: Scene) -> dict[str, Actor]:
    cast = scene.cast
    actors = (cast.manufacturer, cast.dealer, cast.lessee, cast.financier, *cast.buyers)
    return {cast.name_of(actor.party): actor for actor in actors}


def _address(recipient: str) -> orders_pb2.DeliveryAddress:
    return orders_pb2.DeliveryAddress(
        recipient=recipient,
        street="1 Yuelu Avenue",
        city="Changsha",
        region="Hunan",
        postal_code="410000",
        country_code="CN",
    )
