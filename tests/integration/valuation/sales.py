"""What tests tell valuation of sales: orders that settled, consents, and the labels they become."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

from ironloop.marketplace.v1 import consents_pb2, marketplace_events_pb2
from ironloop.procurement.v1 import procurement_events_pb2

from infra.local.client import Actor
from services.kit import wire
from services.valuation import label_handlers
from services.valuation.label_handlers import LabelMaker
from services.valuation.registry import load_registry
from tests.integration.valuation.desk import Desk

LABEL = consents_pb2.CONSENT_PURPOSE_SALE_PRICE_LABEL


async def settle(
    desk: Desk, seller: Actor, machine: str, price_fen: int, *, sold_on: date | None = None
) -> str:
    """Let valuation hear that a machine was sold, today if no day is stated; return the order."""
    runtime = desk.world.running["valuation"].runtime
    order = f"orders/{uuid4()}"
    event = procurement_events_pb2.OrderSettled(
        order=order,
        seller=seller.party,
        machines=[procurement_events_pb2.SoldMachine(machine=machine, price=wire.money(price_fen))],
        sold_on=wire.date(sold_on or runtime.clock.today()),
    )
    await runtime.database.run(lambda tx: label_handlers.record_sale(tx, event))
    # An event that is delivered twice records nothing more.
    await runtime.database.run(lambda tx: label_handlers.record_sale(tx, event))
    return order


async def consent(desk: Desk, seller: Actor, *, revoked: bool = False) -> None:
    runtime = desk.world.running["valuation"].runtime
    facts: dict[str, Any] = {
        "consent": f"consents/of-{seller.party}",
        "party": seller.party,
        "purpose": LABEL,
    }
    if revoked:
        gone = marketplace_events_pb2.ConsentRevoked(**facts)
        await runtime.database.run(lambda tx: label_handlers.note_revocation(tx, gone))
    else:
        given = marketplace_events_pb2.ConsentGranted(**facts)
        await runtime.database.run(lambda tx: label_handlers.note_consent(tx, given))


async def make_labels(desk: Desk) -> None:
    runtime = desk.world.running["valuation"].runtime
    registry = load_registry(runtime.settings)  # type: ignore[arg-type]
    maker = LabelMaker(runtime, registry, settle=timedelta(0))
    while await maker.make_some():
        pass


async def label_of(desk: Desk, order: str) -> Any:
    async with desk.world.running["valuation"].runtime.database.read() as connection:
        return await connection.fetchrow("select * from label where order_name = $1", order)
