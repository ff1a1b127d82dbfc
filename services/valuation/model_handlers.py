"""What is done with model versions, one transaction a command; valuations go on meanwhile."""

import asyncio
from dataclasses import replace

import structlog
from ironloop.valuation.v1 import valuation_events_pb2

from ml.residual_value.model import ResidualValueModel
from services.kit.database import Database
from services.kit.errors import NotFound
from services.kit.etags import check_etag
from services.kit.ids import name
from services.kit.transaction import Transaction
from services.valuation import model_store
from services.valuation.errors import ModelRegistered, NoPredecessor, OwnModel
from services.valuation.lifecycle import MODEL
from services.valuation.model import ModelState
from services.valuation.model_store import Gate, ModelVersion
from services.valuation.registry import Registry

SHIPPED = "shipped"  # who trained the model that comes with the service
LOOK_EVERY_S = 1.0

log = structlog.get_logger(__name__)


class RegistryRefused(Exception):
    """The table of models and the folder of models do not fit each other."""


async def open_registry(database: Database, registry: Registry) -> None:
    """Hold the files to the table's checksums, and value with the table's champion.

    A table without a champion takes the one of the settings.

    Raises:
        RegistryRefused: A registered model's files are others, or the champion's are gone.
        ModelNotKept, ModelNotOurs: The champion cannot be read.
    """
    champion = await database.run(lambda tx: _ensure_champion(tx, registry.present.model))
    async with database.read() as connection:
        rows = await model_store.list_models(connection, after=None, limit=None)
    for row in rows:
        model = registry.models.get(row.version)
        if model is not None and model.sha256 != row.sha256:
            raise RegistryRefused(
                f"{model.folder} is not the registered {row.name}: SHA-256 {model.sha256}, not "
                f"{row.sha256}"
            )
    if champion not in registry.models:
        raise RegistryRefused(f"the files of the champion models/{champion} are gone")
    registry.use(champion)


class ChampionWatch:
    """Follows the table's champion, whichever replica moves it."""

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry

    async def run(self) -> None:
        """Look every second, for as long as the service runs."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                async with self._database.read() as connection:
                    champion = await model_store.find_champion(connection)
                if champion and champion.version != self._registry.present.model.version:
                    await asyncio.to_thread(self._registry.use, champion.version)
                    log.info("champion_changed", model=champion.name)
            except Exception as error:
                log.warning("champion_not_followed", error=repr(error))


async def register_model(
    tx: Transaction, model: ResidualValueModel, *, trained_by: str, registered_by: str
) -> ModelVersion:
    """Take a model into the registry.

    Raises:
        ModelRegistered: It is there already.
    """
    row = await model_store.insert_model(
        tx.connection,
        ModelVersion(
            version=model.version,
            row_version=1,
            event_sequence=0,
            state=ModelState.TRAINED,
            sha256=model.sha256,
            window_end=model.window_end,
            trained_by=trained_by,
            registered_by=registered_by,
            approved_by="",
            gates=(),
            predecessor=None,
            reason="",
            create_time=tx.now,
            update_time=tx.now,
        ),
    )
    if row is None:
        raise ModelRegistered(name("models", model.version))
    return row


async def validate_model(
    tx: Transaction, version: str, *, etag: str, gates: tuple[Gate, ...]
) -> ModelVersion:
    """Keep what the gates say; the model is VALIDATED where all are met.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
    """
    model = await _lock(tx, version, etag=etag)
    step = MODEL.next(model.state, "validate", subject=model.name)
    state = step.target if all(gate.passed for gate in gates) else model.state
    return await model_store.update_model(
        tx.connection, replace(model, state=state, gates=gates), at=tx.now
    )


async def approve_model(tx: Transaction, version: str, *, etag: str, approver: str) -> ModelVersion:
    """Approve a model.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
        OwnModel: The approver trained or registered it.
    """
    model = await _lock(tx, version, etag=etag)
    step = MODEL.next(model.state, "approve", subject=model.name)
    if approver in (model.trained_by, model.registered_by):
        raise OwnModel(model.name, approver)
    return await model_store.update_model(
        tx.connection, replace(model, state=step.target, approved_by=approver), at=tx.now
    )


async def promote_model(tx: Transaction, version: str, *, etag: str) -> ModelVersion:
    """Make an approved model the champion; the former one is retired.

    Raises:
        NotFound, EtagMismatch, TransitionRefused: As they say.
    """
    model = await _lock(tx, version, etag=etag)
    step = MODEL.next(model.state, "promote", subject=model.name)
    former = await model_store.find_champion(tx.connection)
    assert former is not None
    retired = MODEL.next(former.state, "retire", subject=former.name)
    await model_store.update_model(tx.connection, replace(former, state=retired.target), at=tx.now)
    promoted = replace(model, state=step.target, predecessor=former.version)
    return await _enthrone(tx, promoted, former=former, reason="")


async def roll_back_model(tx: Transaction, *, reason: str) -> ModelVersion:
    """Take the champion back; its predecessor is the champion again.

    Raises:
        NoPredecessor: It has none.
    """
    await model_store.lock_registry(tx.connection)
    former = await model_store.find_champion(tx.connection)
    assert former is not None
    if former.predecessor is None:
        raise NoPredecessor(former.name)
    step = MODEL.next(former.state, "roll_back", subject=former.name)
    rolled_back = replace(former, state=step.target, reason=reason)
    await model_store.update_model(tx.connection, rolled_back, at=tx.now)
    earlier = await model_store.find_model(tx.connection, former.predecessor)
    assert earlier is not None
    back = MODEL.next(earlier.state, "reinstate", subject=earlier.name)
    return await _enthrone(
        tx, replace(earlier, state=back.target), former=rolled_back, reason=reason
    )


async def _enthrone(
    tx: Transaction, model: ModelVersion, *, former: ModelVersion, reason: str
) -> ModelVersion:
    model = replace(model, event_sequence=model.event_sequence + 1)
    model = await model_store.update_model(tx.connection, model, at=tx.now)
    await tx.emit(
        valuation_events_pb2.ModelPromoted(
            model=model.name,
            sequence=model.event_sequence,
            former=former.name,
            rollback_reason=reason,
        )
    )
    return model


async def _ensure_champion(tx: Transaction, shipped: ResidualValueModel) -> str:
    await model_store.lock_registry(tx.connection)
    champion = await model_store.find_champion(tx.connection)
    if champion is None:
        row = await register_model(tx, shipped, trained_by=SHIPPED, registered_by=SHIPPED)
        champion = await model_store.update_model(
            tx.connection, replace(row, state=ModelState.CHAMPION), at=tx.now
        )
    return champion.version


async def _lock(tx: Transaction, version: str, *, etag: str) -> ModelVersion:
    await model_store.lock_registry(tx.connection)
    model = await model_store.find_model(tx.connection, version)
    if model is None:
        raise NotFound(name("models", version))
    check_etag(etag, model.row_version)
    return model
