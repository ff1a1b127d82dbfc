"""The users of each scenario."""

from loadtests.grpc_user import GrpcUser


def users_of(scenario: str) -> list[type[GrpcUser]]:
    """Return the classes of users that a scenario is made of."""
    from loadtests.users import leasing, market, settlement, valuation  # noqa: PLC0415

    return {
        "batches": [settlement.Batches],
        "stream": [settlement.Stream],
        "unary": [settlement.Unary],
        "s1": [leasing.Payments],
        "s2": [market.Orders, market.Offers],
        "s4": [valuation.Valuations],
        "s7": [settlement.RetriedBatches, settlement.RetriedUnary, *_with_retries()],
        "s8": [settlement.Batches],
    }[scenario]


def _with_retries() -> list[type[GrpcUser]]:
    from loadtests.users import leasing, valuation  # noqa: PLC0415

    return [leasing.RetriedPayments, valuation.RetriedValuations]
