"""What the other services hear of a valuation, on a real broker."""

from ironloop.valuation.v1 import valuation_pb2

from services.valuation.definition import DEFINITION as VALUATION
from tests.integration.valuation.desk import Desk, request_id, specification
from tests.support.world import World


async def test_an_issued_valuation_leaves_the_outbox(kafka_world: World) -> None:
    await kafka_world.start(VALUATION)
    desk = Desk(kafka_world)
    funder = await kafka_world.party("FUNDER")
    valuation = await desk.of(funder).CreateValuation(
        valuation_pb2.CreateValuationRequest(request_id=request_id(), specification=specification())
    )
    await kafka_world.until_at_rest()
    assert valuation.event_sequence == 1
    assert await desk.events(valuation.name) == []
