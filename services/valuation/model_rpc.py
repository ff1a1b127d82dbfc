"""The contract of model versions: protobuf to arguments and back, nothing else."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from ironloop.valuation.v1 import models_pb2, models_pb2_grpc, valuation_pb2

from services.kit.errors import NotFound
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.valuation import messages, model_handlers, model_store
from services.valuation.errors import ModelNotKept
from services.valuation.gates import run_gates
from services.valuation.model_store import ModelVersion
from services.valuation.registry import Registry

pb = models_pb2

_Request: TypeAlias = (
    pb.RegisterModelRequest
    | pb.ValidateModelRequest
    | pb.ApproveModelRequest
    | pb.PromoteModelRequest
    | pb.RollbackModelRequest
)


class ModelRpc(models_pb2_grpc.ModelServiceServicer):
    """Serves ironloop.valuation.v1.ModelService."""

    def __init__(self, runtime: Runtime, registry: Registry) -> None:
        self._database = runtime.database
        self._commands = runtime.commands
        self._registry = registry

    async def RegisterModel(
        self, request: pb.RegisterModelRequest, context: Any
    ) -> valuation_pb2.Model:
        """Take a model into the registry."""
        try:
            model = await asyncio.to_thread(self._registry.read, _version(request.name))
        except ModelNotKept as error:
            raise NotFound(request.name) from error
        caller = principal().subject
        return await self._run(
            request,
            lambda tx: model_handlers.register_model(
                tx, model, trained_by=request.trained_by or caller, registered_by=caller
            ),
        )

    async def ValidateModel(
        self, request: pb.ValidateModelRequest, context: Any
    ) -> valuation_pb2.Model:
        """Run a model's gates; they take seconds, so outside of the transaction."""
        version = _version(request.name)
        await self._find(request.name)
        model = await asyncio.to_thread(self._registry.read, version)
        gates = await asyncio.to_thread(run_gates, model, self._registry.present.policy)
        return await self._run(
            request,
            lambda tx: model_handlers.validate_model(tx, version, etag=request.etag, gates=gates),
        )

    async def ApproveModel(
        self, request: pb.ApproveModelRequest, context: Any
    ) -> valuation_pb2.Model:
        """Approve a model."""
        approver = principal().subject
        return await self._run(
            request,
            lambda tx: model_handlers.approve_model(
                tx, _version(request.name), etag=request.etag, approver=approver
            ),
        )

    async def PromoteModel(
        self, request: pb.PromoteModelRequest, context: Any
    ) -> valuation_pb2.Model:
        """Make a model the champion."""
        version = _version(request.name)
        await self._find(request.name)
        await asyncio.to_thread(self._registry.read, version)
        promoted = await self._run(
            request,
            lambda tx: model_handlers.promote_model(tx, version, etag=request.etag),
        )
        await self._follow()
        return promoted

    async def RollbackModel(
        self, request: pb.RollbackModelRequest, context: Any
    ) -> valuation_pb2.Model:
        """Take the champion back."""
        async with self._database.read() as connection:
            champion = await model_store.find_champion(connection)
        if champion is not None and champion.predecessor is not None:
            await asyncio.to_thread(self._registry.read, champion.predecessor)
        reinstated = await self._run(
            request, lambda tx: model_handlers.roll_back_model(tx, reason=request.reason)
        )
        await self._follow()
        return reinstated

    async def _run(
        self, request: _Request, work: Callable[[Transaction], Awaitable[ModelVersion]]
    ) -> valuation_pb2.Model:
        async def answer(tx: Transaction) -> valuation_pb2.Model:
            row = await work(tx)
            return messages.model_to_wire(row, self._registry.models.get(row.version))

        return await self._commands.run(request, answer)

    async def _follow(self) -> None:
        """Value with the table's champion; a retried call may answer of an earlier one."""
        async with self._database.read() as connection:
            champion = await model_store.find_champion(connection)
        if champion is not None:
            await asyncio.to_thread(self._registry.use, champion.version)

    async def _find(self, resource: str) -> ModelVersion:
        async with self._database.read() as connection:
            row = await model_store.find_model(connection, _version(resource))
        if row is None:
            raise NotFound(resource)
        return row


def _version(resource: str) -> str:
    return resource.removeprefix("models/")
