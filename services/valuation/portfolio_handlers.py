"""What is written of a portfolio: its operation, and at the end one row and one event."""

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from uuid import UUID

from ironloop.valuation.v1 import portfolios_pb2, valuation_events_pb2

from services.kit import operations, wire
from services.kit.connection import Row
from services.kit.database import Database
from services.kit.errors import InvalidArgument, NotFound
from services.kit.ids import name
from services.kit.operations import Operation
from services.kit.principals import Principal
from services.kit.requests import RequestIdReused
from services.kit.transaction import Transaction
from services.valuation import batch_store, past_handlers, root_store
from services.valuation.batch_files import BatchFolder
from services.valuation.batch_store import Batch
from services.valuation.errors import BatchNotKept, NotSealed
from services.valuation.merkle import HASH_BYTES, build_tree, leaf_hash, path_places
from services.valuation.record import Json
from services.valuation.roots import RootSigner, SignedRoot, public_bytes_of_pem

KIND = "valuation.batch"


@dataclass(frozen=True, slots=True)
class Proof:
    """A record's path to its signed root."""

    record_sha256: bytes
    place: int
    path: list[bytes]
    root: SignedRoot


def check_as_of(as_of: date, *, today: date) -> None:
    """Check a portfolio's date.

    Raises:
        InvalidArgument: It lies in the future.
    """
    if as_of > today:
        raise InvalidArgument("as_of", f"{as_of} lies after today, {today}")


def source_file(portfolios: Path, party: str, file: str) -> Path:
    """Return a file in a party's folder of portfolios.

    Raises:
        NotFound: There is none.
    """
    path = portfolios / party.removeprefix("parties/") / file
    if not path.is_file():
        raise NotFound(file)
    return path


async def start_batch(
    tx: Transaction,
    request: portfolios_pb2.BatchCreateValuationsRequest,
    *,
    party: str,
    as_of: date,
    model: str,
    policy: str,
    nowcasts: Json,
) -> Operation:
    """Write the operation that values a portfolio, with what it values it with."""
    rows = len(request.rows.rows)
    operation = await operations.start(tx, KIND, party=party, request=request, items_total=rows)
    state = {
        "as_of": as_of.isoformat(),
        "model": model,
        "policy": policy,
        "nowcasts": nowcasts,
    }
    await operations.checkpoint(tx, operation.id, items_done=0, state=state)
    return replace(operation, checkpoint=state)


async def finish_batch(
    tx: Transaction, signer: RootSigner, batch: Batch, *, root: bytes
) -> tuple[Batch, SignedRoot]:
    """Write a batch under its signed root, and tell it."""
    signed = await signer.sign(tx, batch.root_subject, leaves=batch.rows, root=root)
    batch = replace(batch, create_time=tx.now)
    await batch_store.insert_batch(tx.connection, batch)
    await tx.emit(
        valuation_events_pb2.BatchValued(
            batch=batch.name,
            sequence=1,
            party=batch.party,
            as_of=wire.date(batch.as_of),
            rows=batch.rows,
            errors=batch.errors,
            model=name("models", batch.model),
            root=root,
        )
    )
    return batch, signed


async def finish_stream(
    tx: Transaction, signer: RootSigner, batch: Batch, *, root: bytes
) -> tuple[Batch, SignedRoot]:
    """Write the batch that a stream made, or return the one that the same stream made before.

    Raises:
        RequestIdReused: The earlier stream had other rows.
    """
    assert batch.request_id is not None
    kept = await batch_store.find_stream(tx.connection, batch.party, batch.request_id)
    if kept is None:
        return await finish_batch(tx, signer, batch, root=root)
    signed = await _root_of(tx, kept)
    if (signed.root, kept.rows, kept.as_of) != (root, batch.rows, batch.as_of):
        raise RequestIdReused
    return kept, signed


async def get_batch(
    database: Database, batch_id: UUID, *, viewer: Principal
) -> tuple[Batch, SignedRoot]:
    """Return a batch and its root.

    Raises:
        NotFound: There is none, or it is another party's.
    """
    async with database.read() as connection:
        batch = await batch_store.find_batch(connection, batch_id, viewer=viewer)
        if batch is None:
            raise NotFound(name("batches", batch_id))
        row = await root_store.find_root(connection, batch.root_subject)
    assert row is not None
    return batch, _signed(row)


async def prove_row(
    database: Database, batch_id: UUID, row: int, *, results: Path, viewer: Principal
) -> Proof:
    """Return the path of a batch's row.

    Raises:
        NotFound: No such batch, or row.
        BatchNotKept: Its files are gone.
    """
    batch, root = await get_batch(database, batch_id, viewer=viewer)
    if row >= batch.rows:
        raise NotFound(f"row {row} of {batch.name}, which has {batch.rows}")
    try:
        record, path = BatchFolder(results / str(batch.id)).record_and_path(batch.rows, row)
    except OSError as error:
        raise BatchNotKept(batch.name) from error
    return Proof(record, row, path, root)


async def prove_valuation(database: Database, valuation_id: UUID, *, viewer: Principal) -> Proof:
    """Return the path of a single valuation to the root of its hour.

    Raises:
        NotFound: There is none, or it is another party's.
        NotSealed: Its hour has not ended.
    """
    valuation = await past_handlers.get_valuation(database, valuation_id, viewer=viewer)
    async with database.read() as connection:
        row = await root_store.find_hour(connection, valuation.create_time)
        if row is None:
            raise NotSealed(valuation.name)
        place = await root_store.place_of(connection, valuation.id, first=row["from_time"])
        records = await root_store.list_records(connection, row["from_time"], row["to_time"])
    tree = build_tree(b"".join(leaf_hash(bytes.fromhex(record)) for record in records))
    path = [tree[at : at + HASH_BYTES] for at in path_places(len(records), place)]
    return Proof(bytes.fromhex(valuation.record_sha256), place, path, _signed(row))


async def _root_of(tx: Transaction, batch: Batch) -> SignedRoot:
    row = await root_store.find_root(tx.connection, batch.root_subject)
    assert row is not None
    return _signed(row)


def _signed(row: Row) -> SignedRoot:
    return SignedRoot(
        subject=row["subject"],
        leaves=row["leaves"],
        root=row["root"],
        signature=row["signature"],
        key_id=row["key_id"],
        public_key=public_bytes_of_pem(row["pem"]),
    )
