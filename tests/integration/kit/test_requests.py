"""The five answers to a request id, alone and under concurrency."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import uuid4

import grpc
import pytest
from ironloop.parties.v1 import parties_pb2

from services.kit import requests
from services.kit.errors import DomainError, InvalidArgument, PreconditionFailed, StoredRefusal
from services.kit.principals import Principal, enter
from services.kit.requests import RequestIdReused, RequestRunning
from services.kit.sagas import Saga
from services.kit.transaction import Transaction
from tests.integration.kit.probe import CALLER, METHOD, Probe, until

Work = Callable[[Transaction], Awaitable[parties_pb2.Party]]


def asked(request_id: str, legal_name: str = "X") -> parties_pb2.CreatePartyRequest:
    return parties_pb2.CreatePartyRequest(request_id=request_id, legal_name=legal_name)


def counting(probe: Probe, key: str = "one") -> Work:
    async def work(tx: Transaction) -> parties_pb2.Party:
        return parties_pb2.Party(name=key, event_sequence=await probe.bump(tx, key))

    return work


async def effects(probe: Probe, key: str = "one") -> int:
    return int(await probe.ask("select coalesce(sum(effects), 0) from counter where key = $1", key))


async def test_a_new_id_does_the_work_and_a_repeated_one_gives_its_answer(probe: Probe) -> None:
    commands, request = probe.commands(), asked(str(uuid4()))
    first = await commands.run(request, counting(probe))
    assert await commands.run(request, counting(probe)) == first
    assert await effects(probe) == 1
    assert await probe.ask("select count(*) from outbox") == 1


async def test_the_same_id_for_another_request_is_refused(probe: Probe) -> None:
    commands, request_id = probe.commands(), str(uuid4())
    await commands.run(asked(request_id), counting(probe))
    with pytest.raises(RequestIdReused):
        await commands.run(asked(request_id, "Y"), counting(probe))
    assert await effects(probe) == 1


async def test_the_same_id_of_another_caller_or_rpc_is_another_request(probe: Probe) -> None:
    commands, request = probe.commands(), asked(str(uuid4()))
    await commands.run(request, counting(probe))
    enter(Principal("users/other", CALLER.party, CALLER.roles), METHOD)
    await commands.run(request, counting(probe))
    enter(CALLER, METHOD + "Again")
    await commands.run(request, counting(probe))
    assert await effects(probe) == 3


async def test_a_second_call_does_not_wait_for_the_first(probe: Probe) -> None:
    commands, request = probe.commands(), asked(str(uuid4()))
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(tx: Transaction) -> parties_pb2.Party:
        entered.set()
        await leave.wait()
        return await counting(probe)(tx)

    first = asyncio.create_task(commands.run(request, slow))
    await entered.wait()
    with pytest.raises(RequestRunning) as caught:
        await commands.run(request, counting(probe))
    assert caught.value.code is grpc.StatusCode.ABORTED
    assert caught.value.retry_after_s > 0
    leave.set()
    answer = await first
    assert await commands.run(request, counting(probe)) == answer


@pytest.mark.parametrize("request_id", ["", "x", "0190a0a0-0000-7000-8000-00000000000"])
async def test_a_malformed_id_is_refused_by_its_field(probe: Probe, request_id: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await probe.commands().run(asked(request_id), counting(probe))
    assert caught.value.violations[0][0] == "request_id"


async def test_twenty_calls_with_one_id_have_one_effect(probe: Probe) -> None:
    commands = probe.commands()
    for turn in range(10):
        request, key = asked(str(uuid4())), f"turn {turn}"
        answers = await asyncio.gather(
            *(commands.run(request, counting(probe, key)) for _ in range(20)),
            return_exceptions=True,
        )
        given = [answer for answer in answers if isinstance(answer, parties_pb2.Party)]
        assert given and all(answer == given[0] for answer in given)
        assert all(isinstance(answer, RequestRunning | parties_pb2.Party) for answer in answers)
        assert await effects(probe, key) == 1
        assert await commands.run(request, counting(probe, key)) == given[0]


async def test_a_definite_refusal_is_given_again_without_the_work(probe: Probe) -> None:
    commands, request = probe.commands(), asked(str(uuid4()))

    async def refusing(tx: Transaction) -> parties_pb2.Party:
        await probe.bump(tx, "one")
        raise PreconditionFailed("not today", subject="one", day="monday")

    with pytest.raises(PreconditionFailed):
        await commands.run(request, refusing)
    with pytest.raises(StoredRefusal) as caught:
        await commands.run(request, counting(probe))
    assert caught.value.metadata == {"day": "monday"}
    assert await effects(probe) == 0
    assert await probe.ask("select count(*) from outbox") == 0


async def test_a_refusal_of_the_moment_is_not_kept(probe: Probe) -> None:
    commands, request = probe.commands(), asked(str(uuid4()))

    async def unlucky(_: Transaction) -> parties_pb2.Party:
        raise RequestRunning

    with pytest.raises(RequestRunning):
        await commands.run(request, unlucky)
    assert (await commands.run(request, counting(probe))).event_sequence == 1


async def test_who_meets_the_first_calls_effect_gets_its_answer(probe: Probe) -> None:
    """The first call commits after the second looked for its record; then the second's work
    is refused because of what the first has done."""
    commands, request = probe.commands(), asked(str(uuid4()))
    first: list[parties_pb2.Party] = []

    async def overtaken(tx: Transaction) -> parties_pb2.Party:
        key = requests.key_of(request)
        answer = parties_pb2.Party(name="the first")

        async def as_the_first(other: Transaction) -> None:
            requests._keep(other, key, response=answer)

        await probe.database.run(as_the_first)
        first.append(answer)
        raise PreconditionFailed("it is done already", subject="one")

    assert await commands.run(request, overtaken) == parties_pb2.Party(name="the first")
    assert first


async def test_a_sagas_command_answers_what_the_saga_answers(probe: Probe) -> None:
    commands, request = probe.commands(), asked(str(uuid4()))

    async def begin(tx: Transaction) -> Saga:
        return await tx.start_saga("test", "one")

    with pytest.raises(RequestRunning):  # nobody drives it yet
        await commands.run_saga(request, begin)
    with pytest.raises(RequestRunning):
        await commands.run_saga(request, begin)
    saga_id = await probe.ask("select id from saga")
    await probe.database.run(
        lambda tx: requests.finish(tx.connection, saga_id, response=parties_pb2.Party(name="done"))
    )
    assert (await commands.run_saga(request, begin)).name == "done"
    assert await probe.ask("select count(*) from saga") == 1


async def test_a_refused_saga_is_given_again(probe: Probe) -> None:
    commands, request = probe.commands(), asked(str(uuid4()))

    async def begin(tx: Transaction) -> Saga:
        return await tx.start_saga("test", "one")

    with pytest.raises(RequestRunning):
        await commands.run_saga(request, begin)
    saga_id = await probe.ask("select id from saga")
    refusal = PreconditionFailed("too late", subject="one").to_status().SerializeToString()
    await probe.database.run(lambda tx: requests.finish(tx.connection, saga_id, refusal=refusal))
    for _ in range(2):
        with pytest.raises(DomainError) as caught:
            await commands.run_saga(request, begin)
        assert caught.value.message == "too late"


async def test_a_caller_that_gives_up_leaves_no_half_work(probe: Probe) -> None:
    commands, request = probe.commands(), asked(str(uuid4()))
    entered = asyncio.Event()

    async def slow(tx: Transaction) -> parties_pb2.Party:
        await probe.bump(tx, "one")
        entered.set()
        await tx.connection.execute("select pg_sleep(30)")
        return parties_pb2.Party()

    call = asyncio.create_task(commands.run(request, slow))
    await entered.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    async def is_free() -> bool:
        try:
            return (await commands.run(request, counting(probe))).event_sequence == 1
        except RequestRunning:
            return False

    await until(is_free, what="the cancelled call's lock is released")
    assert await effects(probe) == 1


async def test_records_are_forgotten_after_their_time_except_of_running_sagas(
    probe: Probe,
) -> None:
    commands = probe.commands()
    await commands.run(asked(str(uuid4())), counting(probe))
    with pytest.raises(RequestRunning):
        await commands.run_saga(asked(str(uuid4())), lambda tx: tx.start_saga("test", "one"))
    async with probe.database.read() as connection:
        await connection.execute(
            "update request_record set create_time = now() - interval '8 days'"
        )
        await requests.forget_old(connection)
    assert await probe.ask("select array_agg(saga_id is not null) from request_record") == [True]
