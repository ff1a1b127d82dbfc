"""Portfolios: streamed and in the background, resumed after a kill, under signed roots."""

import asyncio
import dataclasses
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
import pytest_asyncio
from ironloop.kit.v1 import operator_pb2, operator_pb2_grpc
from ironloop.valuation.v1 import (
    portfolios_pb2,
    portfolios_pb2_grpc,
    valuation_events_pb2,
    valuation_pb2,
)
from pyarrow import parquet, table

from infra.local.client import Actor
from services.finmath.dates import add_months
from services.valuation.definition import DEFINITION as VALUATION
from services.valuation.merkle import is_under
from services.valuation.roots import HourSealer, RootSigner, SignedRoot, verify
from tests.integration.valuation.desk import Desk, fen, request_id, specification
from tests.support.refusals import refused
from tests.support.world import World

pb = portfolios_pb2
CHUNK_ROWS = 1_000  # so that small portfolios have many parts


@dataclasses.dataclass(frozen=True)
class Floor:
    """A desk for portfolios, with the folders that its service uses."""

    desk: Desk
    folder: Path

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "portfolios": self.folder / "in",
            "results": self.folder / "out",
            "batch_chunk_rows": CHUNK_ROWS,
        }

    def of(self, actor: Actor) -> "portfolios_pb2_grpc.PortfolioServiceAsyncStub":
        stub: Any = actor.stub(portfolios_pb2_grpc.PortfolioServiceStub, service="valuation")
        return cast("portfolios_pb2_grpc.PortfolioServiceAsyncStub", stub)

    def put(self, actor: Actor, name: str, rows: int, *, bad_every: int = 33) -> None:
        """Lay a file of machines in a party's folder; every so-many-th row is wrong."""
        folder = self.settings["portfolios"] / actor.party.removeprefix("parties/")
        folder.mkdir(parents=True, exist_ok=True)
        numbers = range(rows)
        columns = {
            "reference": [f"m{number}" for number in numbers],
            "make": [("CAT", "XCMG", "Komatsu")[number % 3] for number in numbers],
            "model": [("330CL", "LW500", "PC200")[number % 3] for number in numbers],
            "equipment_class": [
                "SUBMARINE" if number % bad_every == 1 else "HYDRAULIC_EXCAVATOR"
                for number in numbers
            ],
            "build_year": [2005 + number % 20 for number in numbers],
            "hours_meter": [float(number % 15_000) for number in numbers],
            "replacement_cost_fen": [120_000_000 + number for number in numbers],
        }
        parquet.write_table(table(columns), folder / name)

    async def start(self, actor: Actor, **fields: Any) -> operator_pb2.Operation:
        return await self.of(actor).BatchCreateValuations(
            pb.BatchCreateValuationsRequest(**({"request_id": request_id()} | fields))
        )

    def operator(self, actor: Actor) -> "operator_pb2_grpc.OperatorServiceAsyncStub":
        stub: Any = actor.stub(operator_pb2_grpc.OperatorServiceStub, service="valuation")
        return cast("operator_pb2_grpc.OperatorServiceAsyncStub", stub)

    async def operation(self, actor: Actor, name: str) -> operator_pb2.Operation:
        return await self.operator(actor).GetOperation(operator_pb2.GetOperationRequest(name=name))

    async def until_done(self, actor: Actor, name: str) -> operator_pb2.Operation:
        return await self._until(actor, name, lambda found: found.done)

    async def until_some(self, actor: Actor, name: str) -> operator_pb2.Operation:
        return await self._until(actor, name, lambda found: found.items_done > 0)

    async def _until(
        self, actor: Actor, name: str, holds: Callable[[operator_pb2.Operation], bool]
    ) -> operator_pb2.Operation:
        async with asyncio.timeout(60):
            while True:
                found = await self.operation(actor, name)
                if holds(found):
                    return found
                await asyncio.sleep(0.02)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def floor(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Floor]:
    """Return a floor on which portfolios are valued."""
    floor = Floor(Desk(world), tmp_path_factory.mktemp("portfolios"))
    await world.start(VALUATION, **floor.settings)
    yield floor


def row(**facts: Any) -> pb.PortfolioRow:
    stated: dict[str, Any] = {
        "make": "XCMG",
        "model": "LW500",
        "equipment_class": "WHEEL_LOADER",
        "build_year": 2020,
        "hours_meter": 5_000.0,
        "replacement_cost_fen": 400_000_00,
    } | facts
    return pb.PortfolioRow(**stated)


async def streamed(
    floor: Floor, actor: Actor, *messages: list[pb.PortfolioRow], name: str = ""
) -> tuple[list[pb.ValuedRow], pb.Batch]:
    name = name or str(uuid4())
    call = floor.of(actor).StreamValuations(
        pb.StreamValuationsRequest(request_id=name, rows=rows) for rows in messages
    )
    responses = [response async for response in call]
    assert [len(response.rows) for response in responses] == [*map(len, messages), 0]
    return [one for response in responses for one in response.rows], responses[-1].batch


def batch_of(operation: operator_pb2.Operation) -> pb.Batch:
    batch = pb.Batch()
    assert operation.response.Unpack(batch), operation
    return batch


async def assert_proven(floor: Floor, actor: Actor, name: str, record: bytes, at: int = 0) -> None:
    proof = await floor.of(actor).GetMerkleProof(pb.GetMerkleProofRequest(name=name, row=at))
    assert proof.record_sha256 == record
    root = proof.root
    verify(
        SignedRoot(
            root.subject, root.leaves, root.root, root.signature, root.key_id, root.public_key
        )
    )
    assert is_under(
        root.root, leaves=root.leaves, place=proof.place, record_sha256=record, path=[*proof.path]
    )


async def test_a_stream_gives_each_row_what_a_single_valuation_gives(floor: Floor) -> None:
    funder = await floor.desk.world.party("FUNDER")
    single = await floor.desk.of(funder).CreateValuation(
        valuation_pb2.CreateValuationRequest(request_id=request_id(), specification=specification())
    )
    rows, batch = await streamed(
        floor, funder, [row(), row(hours_meter=-1.0)], [row(reference="mine", condition=4)]
    )
    assert list(rows[0].fmv_fen) == [
        fen(getattr(single.fmv, name)) for name in ("q05", "q10", "q50", "q90", "q95")
    ]
    assert rows[0].grade == single.grade
    assert rows[1].error.startswith("hours_meter: ")
    assert not rows[1].flv_fen
    assert (rows[2].row, rows[2].reference) == (2, "mine")
    assert rows[2].flv_fen[2] < rows[0].flv_fen[2]
    assert (batch.rows, batch.errors, batch.party) == (3, 1, funder.party)
    for place, one in enumerate(rows):
        await assert_proven(floor, funder, batch.name, one.record_sha256, place)
    assert await floor.of(funder).GetBatch(pb.GetBatchRequest(name=batch.name)) == batch
    (event,) = await events_of(floor, batch.name)
    assert (event.rows, event.errors, event.root) == (3, 1, batch.root.root)


async def test_a_stream_that_is_sent_again_makes_the_same_batch(floor: Floor) -> None:
    funder, name = await floor.desk.world.party("FUNDER"), str(uuid4())
    _, first = await streamed(floor, funder, [row(), row(build_year=2018)], name=name)
    _, again = await streamed(floor, funder, [row()], [row(build_year=2018)], name=name)
    assert again == first
    with refused("REQUEST_ID_REUSED"):
        await streamed(floor, funder, [row()], name=name)
    assert len(await events_of(floor, first.name)) == 1
    stranger = await floor.desk.world.party("FUNDER")
    with refused("NOT_FOUND"):
        await floor.of(stranger).GetBatch(pb.GetBatchRequest(name=first.name))
    with refused("NOT_FOUND"):
        await floor.of(stranger).GetMerkleProof(pb.GetMerkleProofRequest(name=first.name))
    with refused("NOT_FOUND"):
        await floor.of(funder).GetMerkleProof(pb.GetMerkleProofRequest(name=first.name, row=2))


async def test_a_file_is_valued_in_the_background_bad_rows_aside(floor: Floor) -> None:
    funder = await floor.desk.world.party("FUNDER")
    floor.put(funder, "fleet.parquet", 2_500)
    started = await floor.start(funder, file="fleet.parquet")
    done = await floor.until_done(funder, started.name)
    batch = batch_of(done)
    assert (batch.rows, done.items_done) == (2_500, 2_500)
    result = parquet.read_table(floor.settings["results"] / batch.result_file)
    assert result["row"].to_pylist() == list(range(2_500))
    assert result["reference"].to_pylist()[:2] == ["m0", "m1"]
    errors = result["error"].to_pylist()
    assert sum(error is not None for error in errors) == batch.errors == len(range(1, 2_500, 33))
    assert errors[1].startswith("equipment_class: SUBMARINE is none of")
    assert result["fmv_q50_fen"].to_pylist()[1] is None
    assert result["grade"].to_pylist()[0] == "C"
    records = result["record_sha256"].to_pylist()
    for place in (0, 1, 1_234, 2_499):
        await assert_proven(floor, funder, batch.name, records[place], place)
    assert len(await events_of(floor, batch.name)) == 1


async def test_rows_of_a_request_are_valued_in_the_background(floor: Floor) -> None:
    seller = await floor.desk.world.party("SELLER")
    started = await floor.start(seller, rows=pb.PortfolioRows(rows=[row(), row(make="")]))
    batch = batch_of(await floor.until_done(seller, started.name))
    assert (batch.rows, batch.errors) == (2, 0)
    rows, _ = await streamed(floor, seller, [row(), row(make="")])
    await assert_proven(floor, seller, batch.name, rows[1].record_sha256, 1)


async def test_a_file_that_cannot_be_read_ends_the_operation_with_the_reason(floor: Floor) -> None:
    funder = await floor.desk.world.party("FUNDER")
    with refused("NOT_FOUND"):
        await floor.start(funder, file="absent.parquet")
    folder = floor.settings["portfolios"] / funder.party.removeprefix("parties/")
    folder.mkdir(parents=True)
    (folder / "junk.parquet").write_bytes(b"no parquet")
    parquet.write_table(table({"make": ["CAT"]}), folder / "narrow.parquet")
    parquet.write_table(table({"equipment_class": []}), folder / "empty.parquet")
    for name, reason in (("junk", "cannot be read"), ("narrow", "lacks"), ("empty", "no rows")):
        started = await floor.start(funder, file=f"{name}.parquet")
        done = await floor.until_done(funder, started.name)
        assert reason in done.error.message


async def test_another_partys_file_and_operation_are_not_found(floor: Floor) -> None:
    owner, stranger = [await floor.desk.world.party("FUNDER") for _ in range(2)]
    floor.put(owner, "own.parquet", 3)
    with refused("NOT_FOUND"):
        await floor.start(stranger, file="own.parquet")
    started = await floor.start(owner, file="own.parquet")
    with refused("NOT_FOUND"):
        await floor.operation(stranger, started.name)
    await floor.until_done(owner, started.name)


async def test_a_cancelled_batch_leaves_no_row_and_no_event(floor: Floor) -> None:
    funder = await floor.desk.world.party("FUNDER")
    floor.put(funder, "long.parquet", 20_000)
    started = await floor.start(funder, file="long.parquet")
    await floor.until_some(funder, started.name)
    await floor.operator(funder).CancelOperation(
        operator_pb2.CancelOperationRequest(name=started.name)
    )
    done = await floor.until_done(funder, started.name)
    assert done.error.message == "cancelled by its caller"
    name = started.name.replace("operations", "batches")
    with refused("NOT_FOUND"):
        await floor.of(funder).GetBatch(pb.GetBatchRequest(name=name))
    assert await events_of(floor, name) == []


async def test_a_batch_goes_on_after_its_worker_was_killed(floor: Floor) -> None:
    funder = await floor.desk.world.party("FUNDER")
    floor.put(funder, "fleet.parquet", 12_000)
    started = await floor.start(funder, file="fleet.parquet")
    await floor.until_some(funder, started.name)
    os.kill(worker_of(started), signal.SIGKILL)
    batch = batch_of(await floor.until_done(funder, started.name))
    result = parquet.read_table(floor.settings["results"] / batch.result_file)
    assert result["row"].to_pylist() == list(range(12_000))


async def test_a_batch_goes_on_after_the_service_was_killed(floor: Floor) -> None:
    """kill -9 of the service: its worker ends with it, and the next one finishes what is left."""
    world = floor.desk.world
    funder = await world.party("FUNDER")
    floor.put(funder, "fleet.parquet", 12_000)
    await world.stop("valuation")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.valuation", env=os.environ | environment_of(floor)
    )
    try:
        await world.channel("valuation").channel_ready()
        started = await floor.start(funder, file="fleet.parquet")
        some = await floor.until_some(funder, started.name)
        worker = worker_of(started)
        assert some.items_done < 12_000
    finally:
        process.kill()
        await process.wait()
    async with asyncio.timeout(10):
        while is_running(worker):  # noqa: ASYNC110  (another process's end is no event here)
            await asyncio.sleep(0.02)
    await world.start(VALUATION, **floor.settings)
    await world.channel("valuation").channel_ready()
    batch = batch_of(await floor.until_done(funder, started.name))
    result = parquet.read_table(floor.settings["results"] / batch.result_file)
    assert result["row"].to_pylist() == list(range(12_000))
    assert result["reference"].to_pylist() == [f"m{number}" for number in range(12_000)]
    assert len(await events_of(floor, batch.name)) == 1


async def test_a_batch_is_valued_with_the_nowcasts_of_its_start_and_again_with_the_same(
    floor: Floor,
) -> None:
    world = floor.desk.world
    runtime = world.running["valuation"].runtime
    funder = await world.party("FUNDER")

    async def sold(sales: int) -> None:
        """Let excavators have sold for a tenth more than the model says, last month."""
        async with runtime.database.read() as connection:
            await connection.execute(
                """
                insert into nowcast_month (model, product_group, month, sales, total, squares)
                select version, 'TEX', $1, $2::int, 0.1 * $2::int, 0.02 * $2::int from model
                where state = 'CHAMPION'
                on conflict (model, product_group, month) do update
                    set sales = excluded.sales, total = excluded.total, squares = excluded.squares
                """,
                add_months(world.today().replace(day=1), -1),
                sales,
            )
        async with asyncio.timeout(60):
            while True:
                _, batch = await streamed(floor, funder, [row()])
                if batch.nowcasts["TEX"].sales == sales:
                    return
                await asyncio.sleep(0.1)

    excavator = row(
        make="CAT",
        model="330CL",
        equipment_class="HYDRAULIC_EXCAVATOR",
        replacement_cost_fen=2_000_000_00,
    )
    (plain,), _ = await streamed(floor, funder, [excavator])
    await sold(12)
    (valued,), _ = await streamed(floor, funder, [excavator])
    assert valued.flv_fen[2] > plain.flv_fen[2]
    started = await floor.start(funder, rows=pb.PortfolioRows(rows=[excavator]))
    batch = batch_of(await floor.until_done(funder, started.name))
    assert batch.nowcasts["TEX"].sales == 12
    result = parquet.read_table(floor.settings["results"] / batch.result_file)
    assert result["record_sha256"].to_pylist() == [valued.record_sha256]
    assert result["flv_q50_fen"].to_pylist() == [valued.flv_fen[2]]
    await sold(30)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.valuation",
        "replay-batch",
        batch.name,
        env=os.environ | environment_of(floor),
        stdout=asyncio.subprocess.PIPE,
    )
    assert "MATCH: " in (await process.communicate())[0].decode()
    assert process.returncode == 0


@pytest.mark.parametrize("harm", ["", "a record", "the result", "the rows", "the folder"])
async def test_a_batch_is_valued_again_and_compared(floor: Floor, harm: str) -> None:
    funder = await floor.desk.world.party("FUNDER")
    floor.put(funder, "fleet.parquet", 2_500)
    batch = batch_of(
        await floor.until_done(funder, (await floor.start(funder, file="fleet.parquet")).name)
    )
    folder = (floor.settings["results"] / batch.result_file).parent
    if harm == "a record":
        records = bytearray((folder / "records.bin").read_bytes())
        records[32 * 1_700] ^= 1
        (folder / "records.bin").write_bytes(records)
    elif harm == "the result":
        floor.put(funder, "other.parquet", 2_500, bad_every=7)
        other = floor.settings["portfolios"] / funder.party.removeprefix("parties/")
        (folder / "result.parquet").write_bytes((other / "other.parquet").read_bytes())
    elif harm == "the rows":
        floor.put(funder, "fleet.parquet", 2_501)
    elif harm == "the folder":
        folder.rename(folder.with_name("elsewhere"))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.valuation", "replay-batch", batch.name),
        env=os.environ | environment_of(floor),
        stdout=asyncio.subprocess.PIPE,
    )
    said = (await process.communicate())[0].decode()
    expected = {
        "": (0, "MATCH: "),
        "a record": (1, "the records of these rows differ: 1700\nMISMATCH: "),
        "the result": (1, "result.parquet is not the file that the batch made\nMISMATCH: "),
        "the rows": (2, "not replayed: fleet.parquet was changed after the operation began"),
        "the folder": (2, "not replayed: the files of batches/"),
    }
    status, text = expected[harm]
    assert text in said
    assert process.returncode == status
    assert not list(folder.glob("replay-*"))


def environment_of(floor: Floor) -> dict[str, str]:
    """Return the settings of the world's valuation as environment variables."""
    values = floor.desk.world.settings_of("valuation") | floor.settings
    return {
        f"IRONLOOP_VALUATION_{name.upper()}": (
            json.dumps(value) if isinstance(value, dict) else str(value)
        )
        for name, value in values.items()
    }


async def test_single_valuations_come_under_the_root_of_their_hour(floor: Floor) -> None:
    world = floor.desk.world
    funder = await world.party("FUNDER")
    made = [
        await floor.desk.of(funder).CreateValuation(
            valuation_pb2.CreateValuationRequest(
                request_id=request_id(), specification=specification(build_year=year)
            )
        )
        for year in (2018, 2019, 2020)
    ]
    with refused("NOT_SEALED"):
        await floor.of(funder).GetMerkleProof(pb.GetMerkleProofRequest(name=made[0].name))
    runtime = world.running["valuation"].runtime
    sealer = HourSealer(runtime.database, Later(runtime.clock), await signer_of(floor))
    while await sealer.seal_next():
        pass
    for valuation in made:
        await assert_proven(floor, funder, valuation.name, bytes.fromhex(valuation.record_sha256))
    assert not await sealer.seal_next()
    stranger = await world.party("FUNDER")
    with refused("NOT_FOUND"):
        await floor.of(stranger).GetMerkleProof(pb.GetMerkleProofRequest(name=made[0].name))


@dataclasses.dataclass(frozen=True)
class Later:
    """The clock, two hours on."""

    clock: Any

    def now(self) -> Any:
        return self.clock.now() + timedelta(hours=2)

    def today(self) -> Any:
        return self.clock.today()


async def signer_of(floor: Floor) -> Any:
    return await RootSigner.load(floor.desk.world.running["valuation"].runtime.database)


async def events_of(floor: Floor, batch: str) -> list[valuation_events_pb2.BatchValued]:
    async with floor.desk.world.running["valuation"].runtime.database.read() as connection:
        rows = await connection.fetch("select payload from outbox where key = $1", batch)
    return [valuation_events_pb2.BatchValued.FromString(one["payload"]) for one in rows]


def worker_of(operation: operator_pb2.Operation) -> int:
    """Return the process id of the worker of an operation."""
    own = operation.name.removeprefix("operations/").encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"services.valuation.batch_worker" in command and own in command:
            return int(process.name)
    raise AssertionError("no worker runs")


def is_running(process: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return bool(Path(f"/proc/{process}/cmdline").read_bytes())
    except OSError:
        return False
