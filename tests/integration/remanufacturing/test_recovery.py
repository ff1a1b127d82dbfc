"""Every saga killed after each of its steps: the restart goes on, and nothing is done twice.

A trigger makes the transaction that moves a saga on wait for an advisory lock that the test holds:
the step has called its peer, and its effect here is not committed. There the service is stopped.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from ironloop.remanufacturing.v1 import cores_pb2, reman_pb2

from services.kit import wire
from services.kit.ids import name, new_id
from services.remanufacturing.core_sagas import CORE_SAGAS
from services.remanufacturing.definition import DEFINITION
from services.remanufacturing.unit_sagas import UNIT_SAGAS
from tests.integration.remanufacturing.shop import (
    DEPOSIT,
    DRAIN_S,
    PRICE,
    YUAN,
    Shop,
    cores,
    eventually,
    reman,
    rid,
)
from tests.support import servers
from tests.support.money import is_balanced
from tests.support.refusals import finished

Answer = TypeVar("Answer", bound=Message)

CUT = 7_100_700  # the advisory lock for which a saga's move waits
FREIGHT = 800 * YUAN

HOLD_MOVES = f"""
create table cut_at (kind text, step int);
grant select on cut_at to public;
create function wait_for_the_test() returns trigger language plpgsql as $$
begin
    if exists (select from cut_at where kind = old.kind and step = old.step) then
        perform pg_advisory_xact_lock_shared({CUT});
    end if;
    return new;
end $$;
create trigger wait_for_the_test before update on saga for each row
when (old.step is distinct from new.step) execute function wait_for_the_test();
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(shop: Shop) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Return the owner's connection to remanufacturing's database, whose sagas can be held."""
    dsn = servers.postgres_dsn().rpartition("/")[0]
    connection = await asyncpg.connect(f"{dsn}/{shop.world.databases['remanufacturing']}")
    await connection.execute(HOLD_MOVES)
    yield connection
    await connection.close()


@asynccontextmanager
async def cut(
    shop: Shop, database: "asyncpg.Connection[asyncpg.Record]", kind: str, step: int
) -> AsyncIterator[None]:
    """Let the block begin a saga, kill the service after one of its steps, and start it again."""
    await database.execute("insert into cut_at values ($1, $2)", kind, step)
    await database.execute(f"select pg_advisory_lock({CUT})")

    async def is_held() -> bool:
        return bool(
            await database.fetchval(
                """
                select exists (select from pg_locks
                where locktype = 'advisory' and objid = $1 and not granted)
                """,
                CUT,
            )
        )

    yield
    await eventually(is_held, True)
    await shop.world.stop("remanufacturing")
    await database.execute("delete from cut_at")
    await database.execute(f"select pg_advisory_unlock({CUT})")
    assert (
        await database.fetchval("select step from saga where kind = $1 and state = 'RUNNING'", kind)
        == step
    )
    await shop.world.start(DEFINITION, drain_s=DRAIN_S)


def steps_of(*kinds: str) -> list[object]:
    return [
        pytest.param(saga.kind, step, id=f"{saga.kind}-{saga.steps[step].name}")
        for saga in (*CORE_SAGAS, *UNIT_SAGAS)
        if saga.kind in kinds
        for step in range(len(saga.steps))
    ]


async def sent_again(
    call: Callable[..., Awaitable[Answer]], request: Message, lost: "asyncio.Future[Answer]"
) -> Answer:
    """Return what the same request answers after the restart; the first call's answer was lost."""
    await asyncio.gather(lost, return_exceptions=True)
    return await finished(call, request)


async def test_every_saga_is_cut() -> None:
    tried = {
        "charge_core_deposit",
        "credit_core",
        "forfeit_core_deposit",
        "cancel_core_return",
        "reject_core",
        "install_unit",
        "buy_unit",
    }
    assert {saga.kind for saga in DEFINITION.sagas} == tried


@pytest.mark.parametrize(("kind", "step"), steps_of("charge_core_deposit"))
async def test_a_deposit_is_charged_once(
    shop: Shop, database: "asyncpg.Connection[asyncpg.Record]", kind: str, step: int
) -> None:
    customer = await shop.customer(fen=2 * DEPOSIT)
    request = shop.charge(customer, await shop.family())
    call = cores(customer).ChargeCoreDeposit
    async with cut(shop, database, kind, step):
        lost = asyncio.ensure_future(call(request))
    made = await sent_again(call, request, lost)
    assert made.state == cores_pb2.CORE_RETURN_STATE_DEPOSIT_CHARGED
    assert (await shop.wallet(customer), await shop.deposits(customer)) == (DEPOSIT, DEPOSIT)
    assert await is_balanced(shop.world)


@pytest.mark.parametrize(("kind", "step"), steps_of("credit_core"))
async def test_a_core_is_credited_once(
    shop: Shop, database: "asyncpg.Connection[asyncpg.Record]", kind: str, step: int
) -> None:
    customer = await shop.customer(fen=DEPOSIT)
    received = await shop.received(customer, await shop.family())
    async with cut(shop, database, kind, step):
        await shop.graded(received.name, cores_pb2.CORE_GRADE_FULL, "UPGRADE_TIER3")
    await shop.until(received.name, cores_pb2.CORE_RETURN_STATE_CREDITED)
    assert await shop.wallet(customer) == 43_709 * YUAN
    assert await shop.deposits(customer) == 0
    assert len(await shop.events(received.name)) == 5
    assert await is_balanced(shop.world)


@pytest.mark.parametrize(("kind", "step"), steps_of("cancel_core_return"))
async def test_a_deposit_goes_back_once(
    shop: Shop, database: "asyncpg.Connection[asyncpg.Record]", kind: str, step: int
) -> None:
    customer = await shop.customer(fen=DEPOSIT)
    charged = await shop.charged(customer, await shop.family())
    request = cores_pb2.CancelCoreReturnRequest(request_id=rid(), name=charged.name)
    call = cores(shop.maintenance).CancelCoreReturn
    async with cut(shop, database, kind, step):
        lost = asyncio.ensure_future(call(request))
    await sent_again(call, request, lost)
    assert (await shop.wallet(customer), await shop.deposits(customer)) == (DEPOSIT, 0)
    assert await is_balanced(shop.world)


@pytest.mark.parametrize(("kind", "step"), steps_of("reject_core"))
async def test_a_rejected_core_pays_its_freight_once(
    shop: Shop, database: "asyncpg.Connection[asyncpg.Record]", kind: str, step: int
) -> None:
    customer = await shop.customer(fen=DEPOSIT + 2 * FREIGHT)
    authorised = await shop.authorised(customer, await shop.family())
    request = cores_pb2.RejectCoreRequest(
        request_id=rid(),
        name=authorised.name,
        reason="a pump",
        return_freight=wire.money(FREIGHT),
    )
    call = cores(shop.foreman).RejectCore
    async with cut(shop, database, kind, step):
        lost = asyncio.ensure_future(call(request))
    await sent_again(call, request, lost)
    assert (await shop.wallet(customer), await shop.deposits(customer)) == (FREIGHT, 0)
    assert await is_balanced(shop.world)


@pytest.mark.parametrize(("kind", "step"), steps_of("install_unit"))
async def test_a_unit_is_installed_and_told_once(
    shop: Shop, database: "asyncpg.Connection[asyncpg.Record]", kind: str, step: int
) -> None:
    family, job = await shop.family(), name("workOrders", new_id())
    machine = await shop.machine(await shop.customer())
    await shop.stocked(family)
    unit = await shop.reserved(family, job)
    request = shop.installation(unit.name, machine.name, job)
    call = reman(shop.maintenance).InstallUnit
    async with cut(shop, database, kind, step):
        lost = asyncio.ensure_future(call(request))
    await sent_again(call, request, lost)
    assert len((await shop.look_up(machine.name)).components) == 1
    assert len(await shop.events(machine.name)) == 1


@pytest.mark.parametrize(("kind", "step"), steps_of("buy_unit"))
async def test_a_unit_is_paid_once(
    shop: Shop, database: "asyncpg.Connection[asyncpg.Record]", kind: str, step: int
) -> None:
    buyer = await shop.customer(fen=2 * PRICE)
    unit = await shop.stocked(await shop.family())
    request = reman_pb2.BuyUnitRequest(
        request_id=rid(), name=unit.name, expected_price=wire.money(PRICE)
    )
    call = reman(buyer).BuyUnit
    async with cut(shop, database, kind, step):
        lost = asyncio.ensure_future(call(request))
    sold = await sent_again(call, request, lost)
    assert sold.state == reman_pb2.UNIT_STATE_SOLD
    assert await shop.wallet(buyer) == PRICE
    assert await is_balanced(shop.world)


@pytest.mark.parametrize(("kind", "step"), steps_of("forfeit_core_deposit"))
async def test_a_deposit_is_forfeited_once(
    shop: Shop, database: "asyncpg.Connection[asyncpg.Record]", kind: str, step: int
) -> None:
    customer = await shop.customer(fen=DEPOSIT)
    charged = await shop.charged(customer, await shop.family())
    await shop.world.advance_days(180)
    async with cut(shop, database, kind, step):
        days = asyncio.ensure_future(shop.world.advance_days(1))
    await asyncio.gather(days, return_exceptions=True)  # its answer was lost with the service
    await shop.until(charged.name, cores_pb2.CORE_RETURN_STATE_FORFEITED)
    assert (await shop.wallet(customer), await shop.deposits(customer)) == (0, 0)
    assert len(await shop.events(charged.name)) == 2
    assert await is_balanced(shop.world)
