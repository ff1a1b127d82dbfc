"""Long-running operations as rows."""

import pytest
from google.rpc import code_pb2
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2

from services.kit import operations
from services.kit.errors import NotFound
from services.kit.operations import Operation
from services.kit.principals import Principal
from tests.integration.kit.probe import CALLER, Probe

STRANGER = Principal("users/stranger", "parties/other", frozenset({options_pb2.ROLE_BUYER}))
NOBODY = Principal("users/nobody", "", frozenset({options_pb2.ROLE_BUYER}))
OWNER = Principal("users/owner", "parties/tested", frozenset({options_pb2.ROLE_BUYER}))
REQUEST = parties_pb2.GetPartyRequest(name="parties/1")


async def begin(probe: Probe, *, party: str = "parties/tested") -> Operation:
    return await probe.database.run(
        lambda tx: operations.start(tx, "test", party=party, request=REQUEST, items_total=10)
    )


async def found(probe: Probe, operation: Operation, viewer: Principal) -> Operation:
    async with probe.database.read() as connection:
        return await operations.get(connection, operation.id, viewer=viewer)


async def test_an_operation_is_its_partys_own(probe: Probe) -> None:
    own, unowned = await begin(probe), await begin(probe, party="")
    assert (await found(probe, own, OWNER)).request == REQUEST.SerializeToString()
    assert (await found(probe, unowned, CALLER)).id == unowned.id
    for operation, viewer in ((own, STRANGER), (own, NOBODY), (unowned, NOBODY)):
        with pytest.raises(NotFound):
            await found(probe, operation, viewer)
        with pytest.raises(NotFound):
            await probe.database.run(
                lambda tx, op=operation, who=viewer: operations.request_cancel(  # type: ignore[misc]
                    tx, op.id, viewer=who
                )
            )


async def test_progress_is_kept_for_a_restart(probe: Probe) -> None:
    operation = await begin(probe)
    go_on = await probe.database.run(
        lambda tx: operations.checkpoint(tx, operation.id, items_done=4, state={"row": 4})
    )
    assert go_on
    async with probe.database.read() as connection:
        (again,) = await operations.list_running(connection, "test")
    assert (again.items_done, again.checkpoint) == (4, {"row": 4})


async def test_a_cancelled_operation_stops_at_its_next_checkpoint(probe: Probe) -> None:
    operation = await begin(probe)
    await probe.database.run(lambda tx: operations.request_cancel(tx, operation.id, viewer=OWNER))
    assert not await probe.database.run(
        lambda tx: operations.checkpoint(tx, operation.id, items_done=5, state={})
    )
    await probe.database.run(
        lambda tx: operations.finish(tx, operation.id, error=operations.cancelled())
    )
    ended = operations.to_wire(await found(probe, operation, OWNER))
    assert ended.done and ended.error.code == code_pb2.CANCELLED
    assert ended.items_done == 5


async def test_the_first_end_counts(probe: Probe) -> None:
    operation = await begin(probe)
    result = parties_pb2.Party(name="parties/1")
    await probe.database.run(lambda tx: operations.finish(tx, operation.id, response=result))
    await probe.database.run(
        lambda tx: operations.finish(tx, operation.id, error=operations.cancelled())
    )
    ended = operations.to_wire(await found(probe, operation, OWNER))
    unpacked = parties_pb2.Party()
    assert ended.response.Unpack(unpacked) and unpacked == result
