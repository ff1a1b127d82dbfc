"""Runs the portfolios that wait, one at a time, each in a worker process of its own.

One replica runs them (an advisory lock). What is done stands in files, so a batch goes on where it
was, however the service or the worker ended.
"""

import asyncio
import contextlib
import json
import os
import sys
from datetime import date
from typing import Any

import structlog
from google.rpc import code_pb2, status_pb2
from ironloop.valuation.v1 import portfolios_pb2

from services.kit import operations
from services.kit.errors import DomainError
from services.kit.operations import Operation
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.valuation.batch_files import BatchFolder, Job, Outcome
from services.valuation.batch_store import Batch
from services.valuation.portfolio_handlers import KIND, finish_batch, source_file
from services.valuation.portfolio_messages import batch_to_wire
from services.valuation.record import nowcasts_from_json
from services.valuation.registry import Registry
from services.valuation.roots import RootSigner
from services.valuation.settings import ValuationSettings

LOOK_EVERY_S = 1.0
RUNNER_LOCK = 4_202  # one replica runs batches at a time
TRIES_MAX = 3  # a worker that ends thrice without a word is not started again

log = structlog.get_logger(__name__)


class _Refused(Exception):
    """The worker says why the rows cannot be read."""


class BatchRunner:
    """Takes up operations, watches their workers, and writes what comes of them."""

    def __init__(
        self,
        runtime: Runtime,
        settings: ValuationSettings,
        registry: Registry,
        signer: RootSigner,
    ) -> None:
        self._database = runtime.database
        self._settings = settings
        self._registry = registry
        self._signer = signer
        self.woken = asyncio.Event()

    async def run(self) -> None:
        """Run what waits, for as long as the service runs."""
        while True:
            try:
                async with self._database.read() as connection:
                    if await connection.fetchval("select pg_try_advisory_lock($1)", RUNNER_LOCK):
                        try:
                            await self._run_waiting()
                        finally:
                            await connection.execute("select pg_advisory_unlock($1)", RUNNER_LOCK)
            except Exception as error:
                log.warning("batches_wait", exc_info=error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.woken.wait(), LOOK_EVERY_S)
            self.woken.clear()

    async def _run_waiting(self) -> None:
        while True:
            async with self._database.read() as connection:
                waiting = await operations.list_running(connection, KIND)
            if not waiting:
                return
            await self._run_one(waiting[0])

    async def _run_one(self, operation: Operation) -> None:
        folder = BatchFolder(self._settings.results / str(operation.id))
        failures = 0
        while True:
            try:
                await asyncio.to_thread(self._prepare, folder, operation)
                if not await self._work(folder, operation):
                    await self._end(operation, operations.cancelled())
                    return
                outcome = folder.outcome()
                if outcome is not None:
                    await self._finish(operation, outcome)
                    return
                raise RuntimeError("the worker ended without a result")
            except (_Refused, DomainError) as refusal:
                code = code_pb2.FAILED_PRECONDITION
                text = refusal.message if isinstance(refusal, DomainError) else str(refusal)
                await self._end(operation, status_pb2.Status(code=code, message=text))
                return
            except RuntimeError as error:
                failures += 1
                log.warning("batch_worker_failed", operation=operation.name, error=str(error))
                if failures >= TRIES_MAX:
                    status = status_pb2.Status(code=code_pb2.INTERNAL, message=str(error))
                    await self._end(operation, status)
                    return

    def _prepare(self, folder: BatchFolder, operation: Operation) -> None:
        """Write the job, once.

        Raises:
            ModelNotKept, PolicyNotKept: What the operation began with is gone.
            NotFound: So is its file.
        """
        request = portfolios_pb2.BatchCreateValuationsRequest.FromString(operation.request)
        state = operation.checkpoint
        valuer = self._registry.valuer(state["model"], state["policy"])
        folder.parts.mkdir(parents=True, exist_ok=True)
        if request.file:
            source = source_file(self._settings.portfolios, operation.party, request.file)
        else:
            source = folder.path / "rows.binpb"
            if not source.exists():
                content = request.rows.SerializeToString(deterministic=True)
                folder.write(source.name, content)
        found = source.stat()
        folder.write_job(
            Job(
                model=str(valuer.model.folder),
                model_sha256=valuer.model.sha256,
                policies=str(self._settings.policies),
                policy=valuer.policy.version,
                as_of=state["as_of"],
                source=str(source),
                source_bytes=found.st_size,
                source_modified_ns=found.st_mtime_ns,
                chunk_rows=self._settings.batch_chunk_rows,
                nowcasts=state.get("nowcasts", {}),
            )
        )

    async def _work(self, folder: BatchFolder, operation: Operation) -> bool:
        """Run a worker to its end; False where the operation was cancelled meanwhile."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.valuation.batch_worker",
            str(folder.path),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                said = json.loads(line)
                if "refused" in said:
                    raise _Refused(said["refused"])
                if not await self._keep_progress(operation, said["rows"]):
                    return False
            await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return True

    async def _keep_progress(self, operation: Operation, rows: int) -> bool:
        state: dict[str, Any] = operation.checkpoint
        return await self._database.run(
            lambda tx: operations.checkpoint(tx, operation.id, items_done=rows, state=state)
        )

    async def _finish(self, operation: Operation, outcome: Outcome) -> None:
        state = operation.checkpoint
        batch = Batch(
            id=operation.id,
            party=operation.party,
            request_id=None,
            as_of=date.fromisoformat(state["as_of"]),
            rows=outcome.rows,
            errors=outcome.errors,
            model=state["model"],
            policy=state["policy"],
            nowcasts=nowcasts_from_json(state.get("nowcasts", {})),
            root_subject=f"batches/{operation.id}",
            result_file=f"{operation.id}/result.parquet",
            result_sha256=outcome.result_sha256,
            create_time=operation.create_time,
        )

        async def work(tx: Transaction) -> None:
            finished, root = await finish_batch(
                tx, self._signer, batch, root=bytes.fromhex(outcome.root)
            )
            await operations.finish(tx, operation.id, response=batch_to_wire(finished, root))

        await self._database.run(work)

    async def _end(self, operation: Operation, error: status_pb2.Status) -> None:
        await self._database.run(lambda tx: operations.finish(tx, operation.id, error=error))
