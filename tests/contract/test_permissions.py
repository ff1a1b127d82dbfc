"""The permission table: every rpc with no token, with a strange one, and with each role."""

import grpc
from ironloop.options.v1 import options_pb2

from services.kit.errors import error_info
from tests.contract.conftest import Everything
from tests.support.refusals import status_of

ROLES = {number: name.removeprefix("ROLE_") for name, number in options_pb2.Role.items() if number}


async def code_and_reason(
    everything: Everything, rpc: object, metadata: list[tuple[str, str]]
) -> tuple[grpc.StatusCode, str, str]:
    """Call with an empty request; return code, reason, and the permission that was missing."""
    channel = everything.world.channel(rpc.service)  # type: ignore[attr-defined]
    try:
        await rpc.call(channel, b"", metadata=metadata, timeout=10)  # type: ignore[attr-defined]
    except grpc.aio.AioRpcError as error:
        info = error_info(status_of(error))
        return error.code(), info.reason, dict(info.metadata).get("permission", "")
    return grpc.StatusCode.OK, "", ""


async def test_every_rpc_lets_in_exactly_who_holds_its_permission(everything: Everything) -> None:
    wrong = []
    for rpc in everything.rpcs:
        for number, role in ROLES.items():
            token = everything.actor(role).token
            bearer = [("authorization", f"Bearer {token}")]
            code, _, permission = await code_and_reason(everything, rpc, bearer)
            is_let_in = not (
                code is grpc.StatusCode.PERMISSION_DENIED and permission == rpc.access.permission
            )
            may = rpc.access.public or number in rpc.access.roles
            if is_let_in != may or (
                code is grpc.StatusCode.UNAUTHENTICATED and not (rpc.access.public)
            ):
                wrong.append(f"{rpc} as {role}: {code.name}, declared {'in' if may else 'out'}")
    assert not wrong, "\n".join(wrong)


async def test_no_rpc_but_the_public_ones_answers_without_a_token(everything: Everything) -> None:
    wrong = []
    for rpc in everything.rpcs:
        for metadata in ([], [("authorization", "Bearer x.y.z")]):
            code, reason, _ = await code_and_reason(everything, rpc, metadata)
            if (code is grpc.StatusCode.UNAUTHENTICATED) is rpc.access.public:
                wrong.append(f"{rpc}: {code.name} {reason}")
    assert not wrong, "\n".join(wrong)
    assert [str(rpc) for rpc in everything.rpcs if rpc.access.public] == [
        "parties: PartiesService/IssueToken"
    ]


async def test_every_service_of_the_contract_is_served(everything: Everything) -> None:
    served = {rpc.method.containing_service.full_name for rpc in everything.rpcs}
    for definition in everything.definitions:
        for service in definition.proto_services:
            assert service.full_name in served
    assert len(everything.rpcs) > 5 * len(everything.definitions)
