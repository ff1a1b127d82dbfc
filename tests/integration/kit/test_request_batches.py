"""Requests for one aggregate that are done together, each with an answer of its own."""

import asyncio
from collections.abc import Awaitable, Hashable, Sequence
from typing import Any
from uuid import uuid4

import pytest
from ironloop.parties.v1 import parties_pb2

from services.kit.errors import PreconditionFailed, StoredRefusal
from services.kit.principals import enter
from services.kit.request_batches import Asked, Outcome, RequestBatches
from services.kit.requests import RequestIdReused
from services.kit.transaction import Transaction
from tests.integration.kit.probe import CALLER, METHOD, Probe


def asked(request_id: str = "", legal_name: str = "X") -> parties_pb2.CreatePartyRequest:
    return parties_pb2.CreatePartyRequest(
        request_id=request_id or str(uuid4()), legal_name=legal_name
    )


class Lot:
    """Work that numbers what it gets, refuses "bad", and fails on "broken"."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe
        enter(CALLER, METHOD)
        self.batches: list[list[str]] = []
        self.requests = RequestBatches[str](
            probe.database, service="probe", secret="", work=self._work
        )

    async def _work(
        self, tx: Transaction, subject: Hashable, batch: Sequence[Asked[str]]
    ) -> list[Outcome]:
        self.batches.append([one.argument for one in batch])
        if any(one.argument == "broken" for one in batch):
            raise ValueError("broken")
        outcomes: list[Outcome] = []
        for one in batch:
            number = await self._probe.bump(tx, str(subject))
            if one.argument == "bad":
                outcomes.append(PreconditionFailed("it is bad"))
            else:
                outcomes.append(parties_pb2.Party(name=one.argument, event_sequence=number))
        return outcomes


async def outcomes_of(*calls: Awaitable[Any]) -> list[Any]:
    """Make calls at once and return their answers and refusals."""
    return list(await asyncio.gather(*calls, return_exceptions=True))


async def test_who_waits_is_done_together_in_the_order_in_which_they_came(probe: Probe) -> None:
    lot = Lot(probe)
    names = [f"n{number:03}" for number in range(300)]
    answers = await asyncio.gather(*(lot.requests.run(asked(), "a", each) for each in names))
    assert [answer.name for answer in answers] == names
    assert [answer.event_sequence for answer in answers] == list(range(1, 301))
    assert [name for batch in lot.batches for name in batch] == names
    assert len(lot.batches) < 10


async def test_a_repeated_request_gets_its_answer_and_does_nothing_again(probe: Probe) -> None:
    lot, request = Lot(probe), asked()
    both = await asyncio.gather(*(lot.requests.run(request, "a", "n") for _ in range(2)))
    later = await lot.requests.run(request, "a", "n")
    assert [answer.event_sequence for answer in (*both, later)] == [1, 1, 1]
    other = asked(request.request_id, "Y")
    with pytest.raises(RequestIdReused):
        await lot.requests.run(other, "a", "n")
    in_one_batch = asked()
    first, reused = await outcomes_of(
        lot.requests.run(in_one_batch, "a", "n"),
        lot.requests.run(asked(in_one_batch.request_id, "Z"), "a", "n"),
    )
    assert first.event_sequence == 2
    assert isinstance(reused, RequestIdReused)


async def test_one_refused_is_refused_again_and_changes_nothing_for_the_others(
    probe: Probe,
) -> None:
    lot, bad = Lot(probe), asked()
    good, refused = await outcomes_of(
        lot.requests.run(asked(), "a", "good"), lot.requests.run(bad, "a", "bad")
    )
    assert good.name == "good"
    assert isinstance(refused, PreconditionFailed)
    with pytest.raises(StoredRefusal):
        await lot.requests.run(bad, "a", "bad")


async def test_one_that_breaks_fails_alone(probe: Probe) -> None:
    lot = Lot(probe)
    outcomes = await outcomes_of(
        *(lot.requests.run(asked(), "a", each) for each in ("one", "broken", "two"))
    )
    assert [type(outcome) for outcome in outcomes] == [
        parties_pb2.Party,
        ValueError,
        parties_pb2.Party,
    ]


async def test_two_processes_that_are_asked_the_same_do_it_once(probe: Probe) -> None:
    left, right = Lot(probe), Lot(probe)
    for number in range(1, 21):
        request = asked()
        answers = await asyncio.gather(
            left.requests.run(request, "a", "n"), right.requests.run(request, "a", "n")
        )
        assert [answer.event_sequence for answer in answers] == [number, number]
