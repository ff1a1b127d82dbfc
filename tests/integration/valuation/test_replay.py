"""A valuation recomputes to the same bytes, also after a restart; see test_models for champions."""

import gzip
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from ironloop.valuation.v1 import valuation_pb2

from infra.local.databases import dsn_of
from ml.residual_value import synthetic
from ml.residual_value.__main__ import main
from services.valuation.definition import DEFINITION as VALUATION
from services.valuation.settings import ValuationSettings
from tests.integration.valuation.desk import Desk, request_id, specification
from tests.support import servers
from tests.support.refusals import refused
from tests.support.world import World

pb = valuation_pb2
CHAMPION = ValuationSettings.model_fields["champion"].default


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def desk(world: World) -> AsyncIterator[Desk]:
    """Return a desk without a registry: specifications only."""
    await world.start(VALUATION)
    yield Desk(world)


@pytest.fixture(scope="module")
def two_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the shipped model and one trained on synthetic sales."""
    folder = tmp_path_factory.mktemp("two") / "models"
    shipped = ValuationSettings.model_fields["models"].default / CHAMPION
    shutil.copytree(shipped, folder / CHAMPION)
    sales = folder.parent / "sales.parquet"
    synthetic.write(sales, 1_500, seed=9)
    arguments = ["--sales", str(sales), "--out", str(folder / "synthetic-1"), "--no-origins"]
    assert main(["train", *arguments]) == 0
    return folder


async def valued(desk: Desk) -> pb.Valuation:
    funder = await desk.world.party("FUNDER")
    return await desk.of(funder).CreateValuation(
        pb.CreateValuationRequest(request_id=request_id(), specification=specification())
    )


async def test_a_replay_matches_byte_for_byte_also_after_a_restart(desk: Desk) -> None:
    valuation = await valued(desk)
    before = await desk.replay(desk.world.operator, valuation.name)
    assert before.outcome == pb.REPLAY_OUTCOME_MATCH
    assert before.kept_sha256 == before.recomputed_sha256 == valuation.record_sha256
    assert not before.differences
    await desk.restart()
    assert await desk.replay(desk.world.operator, valuation.name) == before
    assert json.loads(before.record)["request"]["valuation"] == valuation.name


async def test_a_tampered_record_is_a_mismatch_that_names_the_place(desk: Desk) -> None:
    valuation = await valued(desk)
    database = desk.world.running["valuation"].runtime.database
    record = json.loads((await desk.replay(desk.world.operator, valuation.name)).record)
    kept = record["output"]["values_fen"]["flv"]["q50"]
    record["output"]["values_fen"]["flv"]["q50"] = kept + 100
    changed = json.dumps(record, sort_keys=True, separators=(",", ":")).encode()

    async with database.read() as connection:
        with pytest.raises(asyncpg.RaiseError, match="cannot be changed"):
            await connection.execute(
                "update valuation set record = $2 where id = $1", valuation.uid, changed
            )
        with pytest.raises(asyncpg.RaiseError, match="cannot be deleted"):
            await connection.execute("delete from valuation where id = $1", valuation.uid)
    # Only the database's administrator gets past the trigger.
    administrator = await asyncpg.connect(
        dsn_of(servers.postgres_dsn(), database=desk.world.databases["valuation"])
    )
    try:
        await administrator.execute("alter table valuation disable trigger valuation_record")
        await administrator.execute(
            "update valuation set record = $2 where id = $1", valuation.uid, changed
        )
        await administrator.execute("alter table valuation enable trigger valuation_record")
    finally:
        await administrator.close()
    replayed = await desk.replay(desk.world.operator, valuation.name)
    assert replayed.outcome == pb.REPLAY_OUTCOME_MISMATCH
    assert replayed.recomputed_sha256 == valuation.record_sha256
    found = {difference.path: difference for difference in replayed.differences}
    assert found.keys() == {"", "/output/values_fen/flv/q50"}
    assert found["/output/values_fen/flv/q50"].kept == str(kept + 100)
    assert found["/output/values_fen/flv/q50"].recomputed == str(kept)


async def test_a_changed_model_stops_the_service_with_one_clear_sentence(
    desk: Desk, two_models: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    shutil.copytree(two_models, models)
    (booster,) = (models / "synthetic-1").glob("median.txt*")
    if booster.suffix == ".gz":
        booster.write_bytes(gzip.compress(gzip.decompress(booster.read_bytes()) + b"\n"))
    else:
        booster.write_bytes(booster.read_bytes() + b"\n")
    await desk.world.stop("valuation")
    try:
        with pytest.raises(OSError, match=r"median\.txt.* was changed: SHA-256"):
            await desk.world.start(VALUATION, models=models)
    finally:
        await desk.restart()


async def test_models_cards_and_policies_can_be_read(desk: Desk) -> None:
    stub = desk.of(await desk.world.party("BUYER"))
    (model,) = (await stub.ListModels(pb.ListModelsRequest())).models
    assert (model.training_rows, model.synthetic) == (51_088, False)
    card = await stub.GetModelCard(pb.GetModelCardRequest(name=model.name))
    assert card.model == model
    assert "Licence caution" in card.markdown
    assert json.loads(card.evaluation_json)["rows"] == 32_674
    current = await stub.GetPolicy(pb.GetPolicyRequest(name="policies/current"))
    assert current == await stub.GetPolicy(pb.GetPolicyRequest(name=current.name))
    lines = {line.code: line for line in current.lines}
    assert lines["FMV_RATIO"].value == "0.75"
    assert all(line.source for line in current.lines)
    with refused("NOT_FOUND"):
        await stub.GetModelCard(pb.GetModelCardRequest(name="models/none"))
    with refused("NOT_FOUND"):
        await stub.GetPolicy(pb.GetPolicyRequest(name="policies/none"))
