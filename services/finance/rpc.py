"""The contract of lending, put together of its parts by noun."""

from ironloop.finance.v1 import finance_pb2_grpc

from services.finance.draw_rpc import DrawRpc
from services.finance.facility_rpc import FacilityRpc
from services.finance.offer_rpc import OfferRpc
from services.finance.payoff_rpc import PayoffRpc
from services.finance.policy_rpc import PolicyRpc
from services.finance.subordination_rpc import SubordinationRpc


class FinanceRpc(
    PolicyRpc,
    FacilityRpc,
    OfferRpc,
    DrawRpc,
    PayoffRpc,
    SubordinationRpc,
    finance_pb2_grpc.FinanceServiceServicer,
):
    """Serves ironloop.finance.v1.FinanceService."""
