"""A command on the lease that a request names, in one transaction or as a saga."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from ironloop.leasing.v1 import leasing_pb2

from services.kit.ids import parse_name
from services.kit.requests import Commands
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from services.leasing.messages import lease_to_wire
from services.leasing.model import Lease


async def run_command(
    commands: Commands, request: Any, command: Callable[[Transaction, UUID], Awaitable[Lease]]
) -> leasing_pb2.Lease:
    """Run a command of one transaction on the lease that a request names."""

    async def work(tx: Transaction) -> leasing_pb2.Lease:
        return lease_to_wire(await command(tx, parse_name(request.name, "leases")))

    return await commands.run(request, work)


async def run_saga(
    commands: Commands, request: Any, begin: Callable[[Transaction, UUID], Awaitable[Saga]]
) -> Any:
    """Run a saga on the lease that a request names, and return its answer."""

    async def first(tx: Transaction) -> Saga:
        return await begin(tx, parse_name(request.name, "leases"))

    return await commands.run_saga(request, first)
