"""The users of each scenario."""

from collections.abc import Mapping

from loadtests.grpc_user import GrpcUser, MixedUser
from loadtests.users import leasing, maintenance, market, settlement, valuation


class Retries(MixedUser):
    """Every kind of command, three times each (S7)."""

    kinds = (
        settlement.RetriedBatches,
        settlement.RetriedUnary,
        leasing.RetriedPayments,
        valuation.RetriedValuations,
    )


class Storm(MixedUser):
    """Bids, orders and offers for hot listings (S2)."""

    kinds = (market.Bids, market.Orders, market.Bids, market.Offers)


USERS: Mapping[str, type[GrpcUser]] = {
    "batches": settlement.Batches,
    "stream": settlement.Stream,
    "unary": settlement.Unary,
    "s1": leasing.Payments,
    "s2": Storm,
    "s3": maintenance.Bursts,
    "s4": valuation.Portfolios,
    "s7": Retries,
    "s8": settlement.Batches,
}
