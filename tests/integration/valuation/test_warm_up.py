"""The first valuation after a start finds everything loaded."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from ironloop.valuation.v1 import valuation_pb2

from services.valuation.definition import DEFINITION as VALUATION
from tests.integration.valuation.desk import Desk, request_id, specification

# Runs the service, and writes each module that it imports and each file that it opens down.
WATCHED = """
import sys
seen = open(sys.argv.pop(1), "a", buffering=1)
def watch(event, arguments):
    if event == "import":
        seen.write(f"import {arguments[0]}\\n")
    elif event == "open" and isinstance(arguments[0], str):
        seen.write(f"open {arguments[0]}\\n")
sys.addaudithook(watch)
from services.kit.process import run
from services.valuation.definition import DEFINITION
run(DEFINITION)
"""


def environment_of(desk: Desk) -> dict[str, str]:
    """Return the settings of the world's valuation as environment variables."""
    values: dict[str, Any] = desk.world.settings_of("valuation")
    values["peers"] = "{}"
    return {f"IRONLOOP_VALUATION_{key.upper()}": str(value) for key, value in values.items()}


async def test_the_first_valuation_loads_nothing(desk: Desk, tmp_path: Path) -> None:
    world, log = desk.world, tmp_path / "loaded.txt"
    funder = await world.party("FUNDER")
    await world.stop("valuation")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WATCHED, str(log), env=os.environ | environment_of(desk)
    )
    try:
        async with asyncio.timeout(60):
            await world.channel("valuation").channel_ready()
        # The door fetches the issuer's keys with the first call of any kind.
        current = valuation_pb2.GetPolicyRequest(name="policies/current")
        await desk.of(funder).GetPolicy(current)
        before = log.read_text()
        assert "import services.valuation.warm_up" in before
        first = await desk.of(funder).CreateValuation(
            valuation_pb2.CreateValuationRequest(
                request_id=request_id(), specification=specification()
            )
        )
        loaded = log.read_text().removeprefix(before)
    finally:
        process.kill()
        await process.wait()
        await world.start(VALUATION)
        await world.channel("valuation").channel_ready()
    assert first.name
    assert loaded == ""


async def test_a_warm_up_leaves_nothing_behind(desk: Desk) -> None:
    async def counted() -> dict[str, int]:
        async with desk.world.running["valuation"].runtime.database.read() as connection:
            return {
                table: await connection.fetchval(f"select count(*) from {table}")
                for table in ("valuation", "subject", "outbox", "timer")
            }

    before = await counted()
    await desk.restart()
    assert await counted() == before
