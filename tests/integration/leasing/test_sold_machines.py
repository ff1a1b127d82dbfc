"""A repossessed, pledged machine is sold by an order: every service that takes part is real.

Only values are given by a stand-in, so that the draw is WE-7's to the fen.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest
import pytest_asyncio
from ironloop.finance.v1 import finance_pb2
from ironloop.leasing.v1 import claims_pb2, disposals_pb2
from ironloop.leasing.v1 import leasing_pb2 as pb
from ironloop.marketplace.v1 import listings_pb2
from ironloop.procurement.v1 import orders_pb2
from ironloop.valuation.v1 import valuation_pb2, valuation_pb2_grpc

from services.kit import wire
from services.kit.clock import business_date
from services.procurement.definition import DEFINITION as PROCUREMENT
from tests.integration.finance.lending import Lending
from tests.integration.finance.valuer import Valuer
from tests.integration.leasing import ends
from tests.integration.leasing.fleet import Fleet, fen
from tests.integration.marketplace import market
from tests.integration.procurement.trade import ADDRESS, Trade, orders, request_id
from tests.support import money
from tests.support.refusals import refused
from tests.support.world import World


@dataclass(slots=True)
class DatedValuer(Valuer):
    """WE-7's values with the dates that marketplace shows beside a listing."""

    async def CreateValuation(  # noqa: N802
        self, request: valuation_pb2.CreateValuationRequest, context: Any
    ) -> valuation_pb2.Valuation:
        """Value a machine as of today."""
        made = await Valuer.CreateValuation(self, request, context)
        made.as_of.CopyFrom(wire.date(business_date(datetime.now(UTC))))
        made.create_time.GetCurrentTime()
        return made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lending(leasing_world: World) -> AsyncIterator[Lending]:
    """Return the module's world with procurement, in which machines are lent on and sold."""
    await leasing_world.start(PROCUREMENT)
    valuer = DatedValuer()  # type: ignore[abstract]  # what nobody calls is not served
    server = grpc.aio.server()
    valuation_pb2_grpc.add_ValuationServiceServicer_to_server(valuer, server)
    server.add_insecure_port(f"127.0.0.1:{leasing_world.ports['valuation']}")
    await server.start()
    yield Lending(leasing_world, valuer)
    await server.stop(0)


async def order_of(
    fleet: Fleet, disposal: disposals_pb2.Disposal, price_fen: int
) -> orders_pb2.Order:
    """List a machine with its disposal, sell it, and bring the order to its settlement."""
    world = fleet.world
    trade = Trade(world)
    technician = await world.party("TECHNICIAN")
    draft = await market.listings(fleet.lessor).CreateListing(
        listings_pb2.CreateListingRequest(
            request_id=request_id(),
            machine=disposal.machine,
            content=market.content(
                ask=wire.money(price_fen),
                price_override_reason="a price for tests",
                lien_disclosure=listings_pb2.LienDisclosure(
                    has_liens=True, statement="paid off from the price"
                ),
            ),
            disposal=disposal.name,
        )
    )
    listing = await market.listings(fleet.lessor).SubmitListing(
        listings_pb2.SubmitListingRequest(request_id=request_id(), name=draft.name)
    )
    await market.inspect(technician, listing, inspect_date=world.today(), hours="9000")
    listing = await market.publish(fleet.lessor, listing)
    buyer = await trade.buyer(fen=price_fen)
    made = await orders(buyer).CreateOrder(
        orders_pb2.CreateOrderRequest(
            request_id=request_id(), listings=[listing.name], delivery_address=ADDRESS
        )
    )
    await orders(fleet.lessor).ConfirmOrder(
        orders_pb2.ConfirmOrderRequest(request_id=request_id(), name=made.name)
    )
    await trade.pay(buyer, made.name)
    await trade.send_off(fleet.lessor, made.name)
    await trade.deliver(fleet.lessor, made.name)
    await trade.accept(buyer, made.name)
    return await trade.until(buyer, made.name, orders_pb2.ORDER_STATE_SETTLED)


async def pledged(fleet: Fleet, lending: Lending) -> tuple[pb.Lease, finance_pb2.Draw]:
    """Return a repossessed lease whose machine secures a draw."""
    machine = await fleet.machine(build_year=lending.world.today().year - 3)
    funder = await lending.funder(fen=100_000_000)
    draw = await lending.drawn(funder, fleet.lessor, machine=machine)
    lease = await fleet.active(machine)
    await ends.default(fleet, lease)
    return await ends.repossess(fleet, lease), draw


@pytest.mark.parametrize(("price_fen", "is_covered"), [(120_000_000, True), (40_000_000, False)])
async def test_an_order_pays_lender_lessor_and_lessee_and_moves_the_title(
    fleet: Fleet, lending: Lending, *, price_fen: int, is_covered: bool
) -> None:
    lease, draw = await pledged(fleet, lending)
    disposal = await ends.open_disposal(fleet, lease)
    lent_fen = sum(fen(line.due) for line in disposal.lines if line.draw)
    assert lent_fen > fen(draw.outstanding)
    lessor_fen = await fleet.balance(fleet.lessor)
    order = await order_of(fleet, disposal, price_fen)
    settled = await ends.disposals(fleet.lessee).GetDisposal(
        disposals_pb2.GetDisposalRequest(name=disposal.name)
    )
    assert (settled.state, settled.order) == (disposals_pb2.DISPOSAL_STATE_SETTLED, order.name)
    paid_fen = sum(fen(line.paid) for line in settled.lines)
    assert paid_fen + fen(settled.surplus) == price_fen
    closed = await lending.see(fleet.lessor, draw.name)
    assert await lending.liens(lease.terms.machine) == []
    machine = await fleet.look_up(lease.terms.machine)
    assert machine.title_holder == order.buyer
    assert await money.is_balanced(fleet.world)
    to_draw_fen = sum(fen(line.paid) for line in settled.lines if line.draw)
    got_fen = await fleet.balance(fleet.lessor) - lessor_fen
    if is_covered:
        assert closed.state == finance_pb2.DRAW_STATE_REPAID
        debt_fen = fen(settled.debt)
        net_fen = price_fen - 3_000_000 - 800_000
        assert got_fen == 800_000 + debt_fen - to_draw_fen
        assert await fleet.balance(fleet.lessee) == fen(settled.surplus) == net_fen - debt_fen
        assert not settled.claims
        return
    assert closed.state == finance_pb2.DRAW_STATE_DEFAULTED
    assert to_draw_fen == price_fen - 1_000_000 - 800_000
    assert got_fen == 800_000
    owed = await ends.claim(fleet.lessee, settled.claims[0])
    assert owed.kind == claims_pb2.CLAIM_KIND_DISPOSAL_SHORTFALL
    assert fen(owed.amount) == fen(settled.debt) - to_draw_fen
    with refused("LESSOR_LACKS_TITLE"):
        await ends.open_disposal(fleet, lease)
    assert (await ends.close(fleet, lease)).state == pb.LEASE_STATE_CLOSED
