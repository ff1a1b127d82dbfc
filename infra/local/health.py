"""Whether a service says that it serves, by grpc.health.v1."""

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

ANSWER_WITHIN_S = 2.0


def health_of(address: str) -> str:
    """Return a service's own word, SERVING or NOT_SERVING, or UNREACHABLE where it has none."""
    with grpc.insecure_channel(address) as channel:
        try:
            answer = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(), timeout=ANSWER_WITHIN_S
            )
        except grpc.RpcError:
            return "UNREACHABLE"
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))
