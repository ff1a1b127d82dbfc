"""A model's life: gates, four eyes, promotion and rollback while valuations go on."""

import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
import pytest_asyncio
from ironloop.valuation.v1 import (
    models_pb2,
    models_pb2_grpc,
    valuation_events_pb2,
    valuation_pb2,
)

from infra.local.client import Actor
from ml.residual_value import synthetic
from ml.residual_value.__main__ import main
from ml.residual_value.model import CALIBRATION, EVALUATION, canonical, write_manifest
from services.valuation.definition import DEFINITION as VALUATION
from services.valuation.settings import ValuationSettings
from tests.integration.valuation.desk import Desk, request_id, specification
from tests.support.refusals import refused
from tests.support.world import World

pb, mo = valuation_pb2, models_pb2
SHIPPED = ValuationSettings.model_fields["champion"].default
NEXT = "models/next-1"


@dataclass(frozen=True)
class Lab:
    """A desk whose models change."""

    desk: Desk
    models: Path

    def of(self, actor: Actor) -> "models_pb2_grpc.ModelServiceAsyncStub":
        stub: Any = actor.stub(models_pb2_grpc.ModelServiceStub)
        return cast("models_pb2_grpc.ModelServiceAsyncStub", stub)

    async def register(self, actor: Actor, name: str, **fields: Any) -> pb.Model:
        return await self.of(actor).RegisterModel(
            mo.RegisterModelRequest(request_id=request_id(), name=name, **fields)
        )

    async def validate(self, actor: Actor, name: str) -> pb.Model:
        return await self.of(actor).ValidateModel(
            mo.ValidateModelRequest(request_id=request_id(), name=name)
        )

    async def approve(self, actor: Actor, name: str, **fields: Any) -> pb.Model:
        return await self.of(actor).ApproveModel(
            mo.ApproveModelRequest(request_id=request_id(), name=name, **fields)
        )

    async def promote(self, actor: Actor, name: str) -> pb.Model:
        return await self.of(actor).PromoteModel(
            mo.PromoteModelRequest(request_id=request_id(), name=name)
        )

    async def roll_back(self, actor: Actor, id_: str = "") -> pb.Model:
        return await self.of(actor).RollbackModel(
            mo.RollbackModelRequest(request_id=id_ or request_id(), reason="too high on graders")
        )

    async def valued(self) -> pb.Valuation:
        funder = await self.desk.world.party("FUNDER")
        return await self.desk.of(funder).CreateValuation(
            pb.CreateValuationRequest(request_id=request_id(), specification=specification())
        )

    async def states(self) -> dict[str, int]:
        listed = await self.desk.of(self.desk.world.operator).ListModels(pb.ListModelsRequest())
        return {model.name: model.state for model in listed.models}


def copy_of_shipped(models: Path, version: str, **figures: Any) -> None:
    """Lay the shipped model into a folder under another version, some of its figures changed."""
    folder = models / version
    shutil.copytree(ValuationSettings.model_fields["models"].default / SHIPPED, folder)
    calibration = json.loads((folder / CALIBRATION).read_text()) | {"version": version}
    (folder / CALIBRATION).write_text(canonical(calibration))
    evaluation = json.loads((folder / EVALUATION).read_text()) | figures
    for window in evaluation["windows"]:
        rivals = {"class_median": 3.0, "lucko_regression": 1.5}
        window["rival_pinball"] = {name: window["pinball"] * by for name, by in rivals.items()}
    (folder / EVALUATION).write_text(canonical(evaluation))
    write_manifest(folder)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lab(world: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Lab]:
    """Return a lab with the shipped model, two others like it, and a synthetic one."""
    models = tmp_path_factory.mktemp("lab") / "models"
    shutil.copytree(ValuationSettings.model_fields["models"].default / SHIPPED, models / SHIPPED)
    copy_of_shipped(models, "next-1")
    copy_of_shipped(models, "biased-1", bias_log=-0.05)
    sales = models.parent / "sales.parquet"
    synthetic.write(sales, 1_500, seed=9)
    arguments = ["--sales", str(sales), "--out", str(models / "synthetic-1"), "--no-origins"]
    assert main(["train", *arguments]) == 0
    await world.start(VALUATION, models=models)
    yield Lab(Desk(world), models)


async def test_the_shipped_model_is_the_champion_of_an_empty_registry(lab: Lab) -> None:
    assert await lab.states() == {f"models/{SHIPPED}": pb.MODEL_STATE_CHAMPION}
    with refused("NO_PREDECESSOR"):
        await lab.roll_back(lab.desk.world.operator)
    with refused("MODEL_REGISTERED"):
        await lab.register(lab.desk.world.operator, f"models/{SHIPPED}")
    with refused("NOT_FOUND"):
        await lab.register(lab.desk.world.operator, "models/none")


async def test_who_trained_or_registered_a_model_cannot_approve_it(lab: Lab) -> None:
    world = lab.desk.world
    validator = await world.party("MODEL_VALIDATOR")
    colleague = await world.user(validator.party, "MODEL_VALIDATOR")
    registered = await lab.register(world.operator, NEXT, trained_by=validator.subject)
    assert (registered.state, registered.trained_by) == (
        pb.MODEL_STATE_TRAINED,
        validator.subject,
    )
    with refused("TRANSITION_REFUSED"):
        await lab.approve(colleague, NEXT)
    validated = await lab.validate(validator, NEXT)
    assert [gate.code for gate in validated.gates if not gate.passed] == []
    assert validated.state == pb.MODEL_STATE_VALIDATED
    with refused("OWN_MODEL"):
        await lab.approve(validator, NEXT)
    with refused("ETAG_MISMATCH"):
        await lab.approve(colleague, NEXT, etag=registered.etag)
    approved = await lab.approve(colleague, NEXT, etag=validated.etag)
    assert (approved.state, approved.approved_by) == (
        pb.MODEL_STATE_APPROVED,
        colleague.subject,
    )


async def test_a_model_that_misses_a_gate_is_not_validated(lab: Lab) -> None:
    operator = lab.desk.world.operator
    for name, missed in (("models/biased-1", {"BIAS"}), ("models/synthetic-1", {"REAL_SALES"})):
        await lab.register(operator, name)
        model = await lab.validate(operator, name)
        assert model.state == pb.MODEL_STATE_TRAINED
        assert missed <= {gate.code for gate in model.gates if not gate.passed}
        with refused("TRANSITION_REFUSED"):
            await lab.promote(operator, name)


async def test_promotion_and_rollback_take_effect_at_once_and_past_values_replay(lab: Lab) -> None:
    operator = lab.desk.world.operator
    before = await lab.valued()
    promoted = await lab.promote(operator, NEXT)
    assert promoted.state == pb.MODEL_STATE_CHAMPION
    during = await lab.valued()
    assert (before.model, during.model) == (f"models/{SHIPPED}", NEXT)
    assert before.fmv == during.fmv  # the same boosters
    assert (await lab.states())[f"models/{SHIPPED}"] == pb.MODEL_STATE_RETIRED
    replayed = await lab.desk.replay(operator, before.name)
    assert replayed.outcome == pb.REPLAY_OUTCOME_MATCH
    assert await champion_after_restart(lab) == NEXT

    rollback = request_id()
    reinstated = await lab.roll_back(operator, rollback)
    assert reinstated == await lab.roll_back(operator, rollback)
    assert (reinstated.name, reinstated.state) == (f"models/{SHIPPED}", pb.MODEL_STATE_CHAMPION)
    assert (await lab.valued()).model == f"models/{SHIPPED}"
    assert (await lab.states())[NEXT] == pb.MODEL_STATE_ROLLED_BACK
    assert (await lab.desk.replay(operator, during.name)).outcome == pb.REPLAY_OUTCOME_MATCH
    events = await promotions(lab)
    assert [(event.model, event.rollback_reason) for event in events] == [
        (NEXT, ""),
        (f"models/{SHIPPED}", "too high on graders"),
    ]


async def test_only_validators_and_operators_move_models(lab: Lab) -> None:
    funder = await lab.desk.world.party("FUNDER")
    for call in (lab.promote(funder, NEXT), lab.validate(funder, NEXT), lab.roll_back(funder)):
        with refused("PERMISSION_DENIED"):
            await call


async def test_files_that_are_not_the_registered_ones_stop_the_service(lab: Lab) -> None:
    await lab.desk.world.stop("valuation")
    calibration = lab.models / "next-1" / CALIBRATION
    kept = calibration.read_text()
    calibration.write_text(canonical(json.loads(kept) | {"training_rows": 1}))
    write_manifest(calibration.parent)
    try:
        with pytest.raises(OSError, match="is not the registered models/next-1: SHA-256"):
            await lab.desk.world.start(VALUATION, models=lab.models)
    finally:
        calibration.write_text(kept)
        write_manifest(calibration.parent)
        await lab.desk.restart(models=lab.models)


async def champion_after_restart(lab: Lab) -> str:
    await lab.desk.restart(models=lab.models)
    return (await lab.valued()).model


async def promotions(lab: Lab) -> list[valuation_events_pb2.ModelPromoted]:
    async with lab.desk.world.running["valuation"].runtime.database.read() as connection:
        rows = await connection.fetch(
            "select payload from outbox where headers->>'ce_type' like '%ModelPromoted' "
            "order by seq"
        )
    return [valuation_events_pb2.ModelPromoted.FromString(row["payload"]) for row in rows]
