"""Long-running operations as rows: progress, cancellation, and a checkpoint to resume from."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, status_pb2
from ironloop.kit.v1 import operator_pb2

from services.kit import wire
from services.kit.connection import Connection, Row
from services.kit.errors import NotFound, pack
from services.kit.ids import name, new_id
from services.kit.principals import Principal
from services.kit.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation's row.

    Attributes:
        party: For whom it runs; others do not see it.
        request: What was asked for, as the request's bytes.
        checkpoint: Where a restart goes on.
    """

    id: UUID
    kind: str
    party: str
    request: bytes
    items_done: int
    items_total: int
    checkpoint: dict[str, Any]
    cancel_requested: bool
    done: bool
    error: bytes | None
    response: bytes | None
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "operations/<uuid>"."""
        return name("operations", self.id)


async def start(
    tx: Transaction, kind: str, *, party: str, request: Message, items_total: int
) -> Operation:
    """Write a new operation; its runner takes it up after the commit."""
    row = await tx.connection.fetchrow(
        """
        insert into operation (id, kind, party, request, items_total, create_time, update_time)
        values ($1, $2, $3, $4, $5, $6, $6) returning *
        """,
        new_id(),
        kind,
        party,
        request.SerializeToString(deterministic=True),
        items_total,
        tx.now,
    )
    return _operation(row)


async def get(connection: Connection, operation_id: UUID, *, viewer: Principal) -> Operation:
    """Return an operation that the viewer's party started.

    Raises:
        NotFound: There is none, or it is another party's.
    """
    row = await connection.fetchrow(
        "select * from operation where id = $1 and ($2 or (party = $3 and party <> ''))",
        operation_id,
        viewer.sees_all,
        viewer.party,
    )
    if row is None:
        raise NotFound(name("operations", operation_id))
    return _operation(row)


async def list_running(connection: Connection, kind: str) -> list[Operation]:
    """Return the operations of a kind that have not ended, the oldest first."""
    rows = await connection.fetch(
        "select * from operation where kind = $1 and not done order by create_time", kind
    )
    return [_operation(row) for row in rows]


async def request_cancel(tx: Transaction, operation_id: UUID, *, viewer: Principal) -> Operation:
    """Ask an operation to stop at its next checkpoint.

    Raises:
        NotFound: There is none, or it is another party's.
    """
    await get(tx.connection, operation_id, viewer=viewer)
    row = await tx.connection.fetchrow(
        "update operation set cancel_requested = true where id = $1 returning *", operation_id
    )
    return _operation(row)


async def checkpoint(
    tx: Transaction, operation_id: UUID, *, items_done: int, state: dict[str, Any]
) -> bool:
    """Keep progress, and return whether the operation shall go on."""
    go_on: bool = await tx.connection.fetchval(
        """
        update operation set items_done = $2, checkpoint = $3, update_time = $4
        where id = $1 returning not cancel_requested
        """,
        operation_id,
        items_done,
        state,
        tx.now,
    )
    return go_on


async def finish(
    tx: Transaction,
    operation_id: UUID,
    *,
    response: Message | None = None,
    error: status_pb2.Status | None = None,
) -> None:
    """End an operation with its result, or with why it failed."""
    await tx.connection.execute(
        """
        update operation set done = true, response = $2, error = $3, update_time = $4
        where id = $1 and not done
        """,
        operation_id,
        None if response is None else pack(response).SerializeToString(),
        None if error is None else error.SerializeToString(),
        tx.now,
    )


def cancelled() -> status_pb2.Status:
    """Return the error with which a cancelled operation ends."""
    return status_pb2.Status(code=code_pb2.CANCELLED, message="cancelled by its caller")


def to_wire(operation: Operation) -> operator_pb2.Operation:
    """Return an operation as the contract shows it."""
    message = operator_pb2.Operation(
        name=operation.name,
        kind=operation.kind,
        items_done=operation.items_done,
        items_total=operation.items_total,
        done=operation.done,
        create_time=wire.instant(operation.create_time),
        update_time=wire.instant(operation.update_time),
    )
    if operation.error is not None:
        message.error.CopyFrom(status_pb2.Status.FromString(operation.error))
    elif operation.response is not None:
        message.response.CopyFrom(any_pb2.Any.FromString(operation.response))
    return message


def _operation(row: Row | None) -> Operation:
    assert row is not None
    return Operation(**row)
