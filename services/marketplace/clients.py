"""What marketplace asks of valuation and of leasing."""

from datetime import UTC

import grpc
from ironloop.common.v1 import common_pb2
from ironloop.leasing.v1 import programmes_pb2, programmes_pb2_grpc
from ironloop.valuation.v1 import valuation_pb2, valuation_pb2_grpc

from services.kit import wire
from services.kit.clients import PeerRefused
from services.kit.runtime import Runtime
from services.marketplace.listing_model import Guide


async def create_valuation(runtime: Runtime, *, request_id: str, party: str, machine: str) -> Guide:
    """Have a machine valued for a party as of today.

    Raises:
        PeerRefused: Valuation cannot value it; carries its reason.
        PeerUnavailable: It does not answer.
    """
    stub = runtime.peers.stub("valuation", valuation_pb2_grpc.ValuationServiceStub)
    valuation = await runtime.peers.call(
        stub.CreateValuation,
        valuation_pb2.CreateValuationRequest(request_id=request_id, party=party, machine=machine),
    )
    return _guide_of(valuation)


async def get_valuation(runtime: Runtime, valuation: str) -> Guide:
    """Return a valuation as it stands.

    Raises:
        PeerRefused: There is none.
        PeerUnavailable: Valuation does not answer.
    """
    stub = runtime.peers.stub("valuation", valuation_pb2_grpc.ValuationServiceStub)
    return _guide_of(
        await runtime.peers.call(
            stub.GetValuation, valuation_pb2.GetValuationRequest(name=valuation)
        )
    )


async def is_open_programme(runtime: Runtime, programme: str, *, lessor: str) -> bool:
    """Return whether a lessor makes quotes from a lease programme of its own.

    Raises:
        PeerUnavailable: Leasing does not answer.
    """
    stub = runtime.peers.stub("leasing", programmes_pb2_grpc.ProgrammeServiceStub)
    request = programmes_pb2.GetLeaseProgrammeRequest(name=programme)
    try:
        found = await runtime.peers.call(stub.GetLeaseProgramme, request)
    except PeerRefused as refusal:
        if refusal.code is not grpc.StatusCode.NOT_FOUND:
            raise
        return False
    is_open: bool = found.state == programmes_pb2.PROGRAMME_STATE_PUBLISHED
    return is_open and found.lessor == lessor


def _guide_of(valuation: valuation_pb2.Valuation) -> Guide:
    return Guide(
        valuation=valuation.name,
        state=wire.enum_name(
            valuation_pb2.ValuationState, valuation.state, prefix="VALUATION_STATE_"
        ),
        as_of=wire.to_date(valuation.as_of, field="as_of"),
        fmv_fen=_fen(valuation.fmv),
        grade=wire.enum_name(valuation_pb2.Grade, valuation.grade, prefix="GRADE_"),
        value_time=valuation.create_time.ToDatetime(tzinfo=UTC),
    )


def _fen(quantiles: common_pb2.Quantiles) -> tuple[int, int, int, int, int]:
    return (
        wire.fen(quantiles.q05, field="fmv.q05"),
        wire.fen(quantiles.q10, field="fmv.q10"),
        wire.fen(quantiles.q50, field="fmv.q50"),
        wire.fen(quantiles.q90, field="fmv.q90"),
        wire.fen(quantiles.q95, field="fmv.q95"),
    )
