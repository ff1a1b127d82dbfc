"""Values: what a machine is worth today, and why that is another amount than before."""

from ironloop.common.v1 import common_pb2
from ironloop.valuation.v1 import (
    explanations_pb2,
    valuation_pb2,
    valuation_pb2_grpc,
)

from infra.local.client import Actor
from infra.local.demo.scene import Scene, fen, request_id

BASIS = common_pb2.VALUE_BASIS_OLV


async def value(
    scene: Scene, actor: Actor, machine: str, *, stop_faults: int | None = None
) -> valuation_pb2.Valuation:
    """Have a machine valued as of today.

    Args:
        stop_faults: How many STOP faults to assume; None: as many as maintenance knows of.
    """
    overrides = None
    if stop_faults is not None:
        adjustments = valuation_pb2.Adjustments(open_stop_faults=stop_faults)
        overrides = valuation_pb2.Overrides(adjustments=adjustments)
    made = await actor.stub(valuation_pb2_grpc.ValuationServiceStub).CreateValuation(
        valuation_pb2.CreateValuationRequest(
            request_id=request_id(), machine=machine, overrides=overrides
        )
    )
    scene.valuations[made.name] = actor
    return made


async def why(
    actor: Actor, former: valuation_pb2.Valuation, later: valuation_pb2.Valuation
) -> list[explanations_pb2.ExplanationLine]:
    """Return what moved a value, line by line, of the orderly liquidation value's median."""
    explained = await actor.stub(valuation_pb2_grpc.ValuationServiceStub).ExplainMove(
        explanations_pb2.ExplainMoveRequest(valuation=later.name, former=former.name, basis=BASIS)
    )
    return list(explained.lines)


def olv_fen(valuation: valuation_pb2.Valuation) -> int:
    """Return the median of the orderly liquidation value, fen."""
    return fen(valuation.olv.q50)
