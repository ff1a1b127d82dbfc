"""A lane gathers what waits, refuses what is too much, and isolates what is broken."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from ironloop.settlement.v1.settlement_pb2 import Transfer as Sent

from services.kit.errors import Unavailable
from services.settlement.errors import LaneFull
from services.settlement.lane import BATCH_MAX, Lane
from services.settlement.ledger_state import Chain, chains
from services.settlement.transfer import Outcome, ResultCode
from tests.unit.settlement.batches import row

POISON = "poison"


class GatedPoster:
    """Posts nothing, but only once its gate is open; remembers the size of each batch."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.started = asyncio.Event()
        self.sizes: list[int] = []
        self.error: Exception | None = None

    async def __call__(
        self, ledger: int, batch: Sequence[Chain], sent: Sequence[Sent] | None
    ) -> Sequence[Outcome]:
        rows = [transfer for chain in batch for transfer in chain.rows]
        self.sizes.append(len(rows))
        self.started.set()
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        if any(transfer.memo == POISON for transfer in rows):
            raise ValueError("a defect")
        return [Outcome(transfer.id, ResultCode.CREATED) for transfer in rows]


@asynccontextmanager
async def open_lane(poster: GatedPoster, *, queued_max: int = 10_000) -> AsyncIterator[Lane]:
    lane = Lane(1, poster, queued_max=queued_max)
    task = asyncio.create_task(lane.run())
    try:
        yield lane
    finally:
        task.cancel()


def ask(lane: Lane, *places: int, memo: str = "") -> "asyncio.Task[Sequence[Outcome]]":
    rows = [row(place, memo=memo) for place in places]
    return asyncio.create_task(lane.post(chains(rows), size=len(rows)))


async def test_what_comes_while_a_batch_is_posted_is_the_next_batch() -> None:
    poster = GatedPoster()
    async with open_lane(poster) as lane:
        first = ask(lane, 0)
        await poster.started.wait()
        others = [ask(lane, place, place + 100) for place in range(1, 40)]
        await asyncio.sleep(0)
        poster.gate.set()
        await first
        for place, other in enumerate(others, 1):
            expected = [row(place).id, row(place + 100).id]
            assert [outcome.id for outcome in await other] == expected
    assert poster.sizes == [1, 78]


async def test_a_batch_is_never_longer_than_its_limit() -> None:
    poster = GatedPoster()
    async with open_lane(poster) as lane:
        first = ask(lane, 0)
        await poster.started.wait()
        others = [ask(lane, *range(1_500)) for _ in range(4)]
        await asyncio.sleep(0)
        poster.gate.set()
        await asyncio.gather(first, *others)
    assert poster.sizes == [1, 3_000, 3_000]
    assert max(poster.sizes) <= BATCH_MAX


async def test_a_full_lane_refuses_with_a_time_to_come_back() -> None:
    poster = GatedPoster()
    async with open_lane(poster, queued_max=3) as lane:
        first = ask(lane, 0)
        await poster.started.wait()
        waiting = ask(lane, 1, 2)
        await asyncio.sleep(0)
        with pytest.raises(LaneFull) as caught:
            await ask(lane, 3, 4)
        assert caught.value.retry_after_s > 0
        assert caught.value.code.name == "RESOURCE_EXHAUSTED"
        fitting = ask(lane, 5)
        poster.gate.set()
        await asyncio.gather(first, waiting, fitting)


async def test_a_caller_that_goes_leaves_its_transfers_in_the_lane() -> None:
    poster = GatedPoster()
    async with open_lane(poster) as lane:
        first = ask(lane, 0)
        await poster.started.wait()
        gone, stays = ask(lane, 1), ask(lane, 2)
        await asyncio.sleep(0)
        first.cancel()
        gone.cancel()
        poster.gate.set()
        assert (await stays)[0].id == row(2).id
    assert poster.sizes == [1, 2]


async def test_a_defect_that_one_call_brings_fails_no_other() -> None:
    poster = GatedPoster()
    async with open_lane(poster) as lane:
        first = ask(lane, 0)
        await poster.started.wait()
        good, bad, also_good = ask(lane, 1), ask(lane, 2, memo=POISON), ask(lane, 3)
        await asyncio.sleep(0)
        poster.gate.set()
        assert (await good)[0].code is ResultCode.CREATED
        assert (await also_good)[0].code is ResultCode.CREATED
        with pytest.raises(ValueError, match="a defect"):
            await bad
        await first


async def test_a_database_that_is_away_is_told_to_everyone_at_once() -> None:
    poster = GatedPoster()
    poster.error = Unavailable("the database does not answer")
    async with open_lane(poster) as lane:
        first = ask(lane, 0)
        await poster.started.wait()
        others = [ask(lane, 1), ask(lane, 2)]
        await asyncio.sleep(0)
        poster.gate.set()
        answers = await asyncio.gather(first, *others, return_exceptions=True)
        assert [type(answer) for answer in answers] == [Unavailable] * 3
        assert poster.sizes == [1, 2]
        poster.error = None
        assert (await ask(lane, 3))[0].code is ResultCode.CREATED
