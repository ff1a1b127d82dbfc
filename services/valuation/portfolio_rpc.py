"""The contract of portfolios and proofs: protobuf to arguments and back, nothing else."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from google.type import date_pb2
from ironloop.kit.v1 import operator_pb2
from ironloop.valuation.v1 import portfolios_pb2, portfolios_pb2_grpc

from services.kit import operations, wire
from services.kit.errors import InvalidArgument
from services.kit.ids import new_id, parse_name
from services.kit.principals import principal
from services.kit.runtime import Runtime
from services.kit.transaction import Transaction
from services.valuation import batch_store, portfolio_handlers
from services.valuation.appraisal import Valuer
from services.valuation.batch_files import RECORDS, TREE, BatchFolder
from services.valuation.batch_runner import BatchRunner
from services.valuation.batch_store import Batch
from services.valuation.handlers import valued_party
from services.valuation.merkle import HASH_BYTES, build_tree, leaf_hash
from services.valuation.model import Nowcast
from services.valuation.nowcasts import Nowcasts
from services.valuation.portfolio import PortfolioValuer
from services.valuation.portfolio_messages import (
    batch_to_wire,
    root_to_wire,
    rows_from_wire,
    valued_rows,
)
from services.valuation.record import nowcasts_to_json
from services.valuation.registry import Registry
from services.valuation.roots import RootSigner
from services.valuation.settings import ValuationSettings

STREAM_ROWS_MAX = 2_000_000  # of one stream: 64 MB of record hashes

pb = portfolios_pb2


class PortfolioRpc(portfolios_pb2_grpc.PortfolioServiceServicer):
    """Serves ironloop.valuation.v1.PortfolioService."""

    def __init__(
        self,
        runtime: Runtime,
        settings: ValuationSettings,
        registry: Registry,
        nowcasts: Nowcasts,
        *,
        signer: RootSigner,
        runner: BatchRunner,
    ) -> None:
        self._runtime = runtime
        self._database = runtime.database
        self._commands = runtime.commands
        self._settings = settings
        self._registry = registry
        self._nowcasts = nowcasts
        self._signer = signer
        self._runner = runner

    async def BatchCreateValuations(
        self, request: pb.BatchCreateValuationsRequest, context: Any
    ) -> operator_pb2.Operation:
        """Value a portfolio in the background."""
        party = valued_party(principal(), request.party)
        as_of = self._as_of(request.as_of if request.HasField("as_of") else None)
        if request.file and await self._commands.find_answer(request) is None:
            portfolio_handlers.source_file(self._settings.portfolios, party, request.file)
        valuer = self._registry.present

        async def work(tx: Transaction) -> operator_pb2.Operation:
            return operations.to_wire(
                await portfolio_handlers.start_batch(
                    tx,
                    request,
                    party=party,
                    as_of=as_of,
                    model=valuer.model.version,
                    policy=valuer.policy.version,
                    nowcasts=nowcasts_to_json(self._nowcasts.by_group(valuer, as_of=as_of)),
                )
            )

        operation: operator_pb2.Operation = await self._commands.run(request, work)
        self._runner.woken.set()
        return operation

    async def StreamValuations(
        self, requests: AsyncIterator[pb.StreamValuationsRequest], context: Any
    ) -> AsyncIterator[pb.StreamValuationsResponse]:
        """Value rows as they come, and keep the batch that they make."""
        valuer = self._registry.present
        portfolio: PortfolioValuer | None = None
        nowcasts: Mapping[str, Nowcast] = {}
        records, errors, party, request_id, as_of = bytearray(), 0, "", "", date.min
        async for request in requests:
            if portfolio is None:
                party = valued_party(principal(), request.party)
                as_of = self._as_of(request.as_of if request.HasField("as_of") else None)
                request_id = request.request_id
                valuer, nowcasts = await self._basis_of(party, request_id, as_of)
                portfolio = PortfolioValuer(valuer, as_of, nowcasts)
            if request.request_id != request_id:
                raise InvalidArgument("request_id", "must be the same in each message of a stream")
            first = len(records) // HASH_BYTES
            if first + len(request.rows) > STREAM_ROWS_MAX:
                raise InvalidArgument("rows", f"a stream takes at most {STREAM_ROWS_MAX:,} rows")
            rows = rows_from_wire(request.rows)
            scored = await asyncio.to_thread(portfolio.score, rows)
            records += b"".join(scored.records)
            errors += sum(map(bool, scored.errors))
            yield pb.StreamValuationsResponse(rows=valued_rows(rows, scored, first=first))
        if portfolio is None:
            raise InvalidArgument("rows", "a stream needs at least one message")
        batch = Batch(
            id=new_id(),
            party=party,
            request_id=UUID(request_id),
            as_of=as_of,
            rows=len(records) // HASH_BYTES,
            errors=errors,
            model=valuer.model.version,
            policy=valuer.policy.version,
            nowcasts=nowcasts,
            root_subject="",
            result_file="",
            result_sha256="",
            create_time=self._runtime.clock.now(),
        )
        yield pb.StreamValuationsResponse(batch=await self._keep(batch, bytes(records)))

    async def GetBatch(self, request: pb.GetBatchRequest, context: Any) -> pb.Batch:
        """Return a batch."""
        return batch_to_wire(
            *await portfolio_handlers.get_batch(
                self._database, parse_name(request.name, "batches"), viewer=principal()
            )
        )

    async def GetMerkleProof(
        self, request: pb.GetMerkleProofRequest, context: Any
    ) -> pb.MerkleProof:
        """Return the path of a record to its signed root."""
        viewer = principal()
        if request.name.startswith("valuations/"):
            proof = await portfolio_handlers.prove_valuation(
                self._database, parse_name(request.name, "valuations"), viewer=viewer
            )
        else:
            proof = await portfolio_handlers.prove_row(
                self._database,
                parse_name(request.name, "batches"),
                request.row,
                results=self._settings.results,
                viewer=viewer,
            )
        return pb.MerkleProof(
            record_sha256=proof.record_sha256,
            place=proof.place,
            path=proof.path,
            root=root_to_wire(proof.root),
        )

    async def _keep(self, batch: Batch, records: bytes) -> pb.Batch:
        """Write a stream's hashes, then its row, root and event."""
        tree = await asyncio.to_thread(_write_hashes, self._settings, batch, records)

        async def work(tx: Transaction) -> pb.Batch:
            own = replace(batch, root_subject=batch.name)
            return batch_to_wire(
                *await portfolio_handlers.finish_stream(
                    tx, self._signer, own, root=tree[-HASH_BYTES:]
                )
            )

        return await self._database.run(work)

    async def _basis_of(
        self, party: str, request_id: str, as_of: date
    ) -> tuple[Valuer, Mapping[str, Nowcast]]:
        """Return what a stream is valued with: what the same stream was, where it comes again.

        Raises:
            ModelNotKept, PolicyNotKept: That is gone.
        """
        async with self._database.read() as connection:
            kept = await batch_store.find_stream(connection, party, UUID(request_id))
        if kept is not None:
            return self._registry.valuer(kept.model, kept.policy), kept.nowcasts
        valuer = self._registry.present
        return valuer, self._nowcasts.by_group(valuer, as_of=as_of)

    def _as_of(self, stated: date_pb2.Date | None) -> date:
        today = self._runtime.clock.today()
        as_of = today if stated is None else wire.to_date(stated, field="as_of")
        portfolio_handlers.check_as_of(as_of, today=today)
        return as_of


def _write_hashes(settings: ValuationSettings, batch: Batch, records: bytes) -> bytes:
    leaves = b"".join(
        leaf_hash(records[place : place + HASH_BYTES])
        for place in range(0, len(records), HASH_BYTES)
    )
    tree = build_tree(leaves)
    folder = BatchFolder(settings.results / str(batch.id))
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write(RECORDS, records)
    folder.write(TREE, tree)
    return tree
