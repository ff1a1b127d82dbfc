"""What must be true once the story is told, looked up through the API, the topics, the inboxes."""

import asyncio
import json
import time
from typing import Any

import asyncpg
from ironloop.kit.v1 import operator_pb2, operator_pb2_grpc
from ironloop.remanufacturing.v1 import passports_pb2, passports_pb2_grpc
from ironloop.settlement.v1 import settlement_pb2, settlement_pb2_grpc
from ironloop.valuation.v1 import valuation_pb2, valuation_pb2_grpc

from infra.local.demo.events import Ground, Told, gather_events
from infra.local.demo.life import histories_hold
from infra.local.demo.scene import MAIN_LEDGER, Scene
from services.remanufacturing.passport_proof import verify

LABEL_WITHIN_S = 20.0
POLL_S = 0.2
REPLAYED_AT_ONCE = 4


async def run_checks(scene: Scene, ground: Ground, subjects: list[str]) -> Told:
    """Add every check to the scene, and return what was told over the topics.

    Args:
        subjects: Whose passports are verified, "machines/…" and "units/…".
    """
    scene.checks["the ledger sums to zero"] = await _ledger_balances(scene)
    scene.checks["one title and one custody a machine at each instant"] = await histories_hold(
        scene
    )
    scene.checks["every valuation replays byte for byte"] = await _valuations_replay(scene)
    scene.checks["no saga is left open"] = await _sagas_are_done(scene, ground)
    scene.checks["passports verify, and a changed one does not"] = all(
        [await _passport_holds(scene, subject) for subject in subjects]
    )
    if scene.sale_order:
        scene.checks["the sale price became a label of the model"] = await _is_label(
            ground, scene.sale_order
        )
        await scene.time.until_at_rest()
    told = await gather_events(ground)
    scene.checks["every event was consumed once, in order"] = bool(told.types) and not told.amiss
    return told


async def _ledger_balances(scene: Scene) -> bool:
    ledger = scene.cast.operator.stub(settlement_pb2_grpc.SettlementServiceStub)
    balance = await ledger.GetTrialBalance(
        settlement_pb2.GetTrialBalanceRequest(ledger=MAIN_LEDGER)
    )
    return balance.is_balanced and balance.transfer_count > 0


async def _valuations_replay(scene: Scene) -> bool:
    """Replay every valuation that anybody had made, the watch's among them."""
    valuations = scene.cast.operator.stub(valuation_pb2_grpc.ValuationServiceStub)
    names: list[str] = []
    token = ""
    while True:
        page = await valuations.ListValuations(
            valuation_pb2.ListValuationsRequest(page_size=200, page_token=token)
        )
        names += (valuation.name for valuation in page.valuations)
        token = page.next_page_token
        if not token:
            break
    gate = asyncio.Semaphore(REPLAYED_AT_ONCE)

    async def replay(name: str) -> valuation_pb2.ReplayValuationResponse:
        async with gate:
            return await valuations.ReplayValuation(valuation_pb2.ReplayValuationRequest(name=name))

    replays = await asyncio.gather(*map(replay, names))
    is_all = set(scene.valuations) <= set(names)
    is_same = all(one.outcome == valuation_pb2.REPLAY_OUTCOME_MATCH for one in replays)
    scene.narrator.tell("checks", f"replay {len(replays)} valuations")
    return is_all and is_same and bool(replays)


async def _sagas_are_done(scene: Scene, ground: Ground) -> bool:
    for service in ground.services:
        operator = scene.cast.operator.stub(operator_pb2_grpc.OperatorServiceStub, service=service)
        answer = await operator.ListSagas(
            operator_pb2.ListSagasRequest(state=operator_pb2.SAGA_STATE_RUNNING)
        )
        if answer.sagas:
            return False
    return True


async def _passport_holds(scene: Scene, subject: str) -> bool:
    """Whether a passport is intact and ours, by the service and by itself, and a forgery is not."""
    passports = scene.cast.operator.stub(passports_pb2_grpc.PassportServiceStub)
    given = await passports.GetPassport(
        passports_pb2.GetPassportRequest(subject=subject, view=passports_pb2.PASSPORT_VIEW_PUBLIC)
    )
    checked = await passports.VerifyPassport(
        passports_pb2.VerifyPassportRequest(document=given.document)
    )
    forged = verify(_forge(given.document))
    return (
        checked.is_intact
        and checked.is_known
        and checked.entry_count == given.entry_count > 0
        and verify(given.document).is_intact
        and not forged.is_intact
    )


def _forge(document: str) -> str:
    """Return a passport document in which one figure of one entry is another."""
    forged: dict[str, Any] = json.loads(document)
    forged["entries"][0]["time"] = "2001-01-01T00:00:00Z"
    return json.dumps(forged)


async def _is_label(ground: Ground, order: str) -> bool:
    """Whether a sale has become a label; that takes valuation some seconds."""
    connection = await asyncpg.connect(ground.dsn("valuation"))
    try:
        deadline = time.monotonic() + LABEL_WITHIN_S
        while time.monotonic() < deadline:
            state = await connection.fetchval(
                "select state from label where order_name = $1", order
            )
            if state not in (None, "RECORDED"):
                return bool(state == "LABEL")
            await asyncio.sleep(POLL_S)
    finally:
        await connection.close()
    return False
