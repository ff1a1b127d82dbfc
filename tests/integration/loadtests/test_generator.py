"""Loads made by locust on a real service; what the users were told is true."""

import json
from pathlib import Path

import asyncpg
import pytest
from ironloop.settlement.v1 import settlement_pb2

from infra.local.databases import dsn_of
from loadtests.checker import Verdict, check_transfers
from loadtests.generator import LoadFailed, generate
from loadtests.money import open_accounts, pay_in, wallet
from loadtests.plan import Plan
from services.settlement.definition import DEFINITION
from tests.support import servers
from tests.support.world import World


async def _plan(world: World, folder: Path, scenario: str, *, loop: str, rate: float) -> Plan:
    if "settlement" not in world.running:
        await world.start(DEFINITION)
    owner = (await world.party("BUYER")).party
    opened = await open_accounts(
        world.operator,
        [
            *(wallet(owner, f"load/{number}") for number in range(20)),
            settlement_pb2.NewAccount(kind=settlement_pb2.ACCOUNT_KIND_PLATFORM_FEE),
        ],
    )
    await pay_in(world.operator, opened[:-1], amount_fen=10**9)
    *wallets, fees = (account.number for account in opened)
    return Plan(
        scenario=scenario,
        users=2,
        duration_s=4,
        loop=loop,
        rate=rate,
        has_steps=False,
        folder=str(folder),
        addresses={name: f"127.0.0.1:{world.ports[name]}" for name in world.running},
        facts={"operator": world.operator.token, "wallets": wallets, "fees": fees},
    )


async def _told(world: World, folder: Path) -> Verdict:
    dsn = dsn_of(servers.postgres_dsn(), database=world.databases["settlement"])
    reader = await asyncpg.connect(dsn)
    try:
        verdict = Verdict("told is true")
        await check_transfers(verdict, reader, folder)
        return verdict
    finally:
        await reader.close()


async def test_an_open_loop_keeps_its_rate_and_its_journal(world: World, tmp_path: Path) -> None:
    plan = await _plan(world, tmp_path, "unary", loop="open", rate=20)
    await generate(plan)
    [step] = json.loads((tmp_path / "measured.json").read_text())["steps"]
    assert step["loop"] == "open"
    assert step["operations"] == pytest.approx(20 * step["seconds"], rel=0.2)
    assert 0 < step["latency_ms"]["p50"] <= step["latency_ms"]["p99"]
    verdict = await _told(world, tmp_path)
    assert verdict.problems == []
    assert verdict.counted == f"{step['operations']} posted"
    assert not (tmp_path / "plan.json").exists()  # it held a token


async def test_a_stream_is_told_what_became_of_each_transfer(world: World, tmp_path: Path) -> None:
    plan = await _plan(world, tmp_path, "stream", loop="closed", rate=0)
    await generate(plan)
    [step] = json.loads((tmp_path / "measured.json").read_text())["steps"]
    assert step["operations"] > 0
    assert step["errors"].keys() == {"refused: EXCEEDS_CREDITS"}
    verdict = await _told(world, tmp_path)
    assert verdict.problems == []
    assert "refused" in verdict.counted


async def test_a_load_that_cannot_begin_says_why(world: World, tmp_path: Path) -> None:
    plan = await _plan(world, tmp_path, "no such scenario", loop="closed", rate=0)
    with pytest.raises(LoadFailed, match="KeyError"):
        await generate(plan)
