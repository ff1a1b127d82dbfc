"""A running service as callers and machines see it: door, health, metrics, reflection, traces."""

import asyncio
import json
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import grpc
import pytest
import pytest_asyncio
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from ironloop.kit.v1 import operator_pb2, operator_pb2_grpc
from ironloop.options.v1 import options_pb2
from ironloop.parties.v1 import parties_pb2, parties_pb2_grpc

from infra.local.client import Actor
from infra.local.databases import dsn_of
from infra.local.processes import free_port
from services.kit import telemetry
from services.kit.clients import MESSAGE_BYTES_MAX
from services.parties import handlers
from tests.integration.kit import probe_service
from tests.integration.kit.probe import SCRATCH, SERVICE, until
from tests.support import servers
from tests.support.refusals import refused
from tests.support.world import World, new_uscc

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
NOBODY = "parties/0190a0a0-0000-7000-8000-000000000000"
GET = "/ironloop.parties.v1.PartiesService/GetParty"


def parties(actor: Actor) -> "parties_pb2_grpc.PartiesServiceAsyncStub":
    return actor.stub(parties_pb2_grpc.PartiesServiceStub)


def new_party(legal_name: str = "Test") -> parties_pb2.CreatePartyRequest:
    return parties_pb2.CreatePartyRequest(
        request_id=str(uuid4()),
        legal_name=legal_name,
        uscc=new_uscc(),
        roles=[options_pb2.ROLE_BUYER],
    )


async def test_no_text_of_a_defect_leaves_the_service(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def defective(*_: object, **__: object) -> None:
        raise LookupError("the password is hunter2")

    monkeypatch.setattr(handlers, "get_party", defective)
    with refused("INTERNAL") as refusal:
        await parties(world.operator).GetParty(parties_pb2.GetPartyRequest(name=NOBODY))
    assert "hunter2" not in str(refusal.status)
    assert refusal.metadata["correlation_id"] in refusal.status.message


async def test_bytes_that_are_no_message_are_refused_by_field(world: World) -> None:
    call: Any = world.channel("parties").unary_unary(GET)
    metadata = [("authorization", f"Bearer {world.operator.token}")]
    for raw in (b"\xff\xff", b"\x0a\x03\xed\xa0\x80", b"\x0a\xff"):
        with refused("INVALID_FIELD") as refusal:
            await call(raw, metadata=metadata)
        bad = error_details_pb2.BadRequest()
        assert refusal.status.details[1].Unpack(bad)
        assert bad.field_violations[0].field == "request"


async def test_a_message_beyond_the_limit_is_refused(world: World) -> None:
    call: Any = world.channel("parties").unary_unary(GET)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(
            b"\x0a" + b"x" * (MESSAGE_BYTES_MAX + 1),
            metadata=[("authorization", f"Bearer {world.operator.token}")],
        )
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    "metadata",
    [
        [],
        [("authorization", "Bearer x")],
        [("authorization-bin", b"Bearer x")],
        [("authorization", "Bearer " + "W1tb" * 1_100)],
    ],
)
async def test_who_proves_nothing_is_refused(
    world: World, metadata: list[tuple[str, str | bytes]]
) -> None:
    call: Any = world.channel("parties").unary_unary(GET)
    with refused("UNAUTHENTICATED"):
        await call(b"", metadata=metadata)


async def test_a_rotated_key_counts_at_once(world: World) -> None:
    old = world.operator.token
    rotated = await parties(world.operator).RotateSigningKey(
        parties_pb2.RotateSigningKeyRequest(request_id=str(uuid4()))
    )
    answer = await parties(world.operator).IssueToken(
        parties_pb2.IssueTokenRequest(
            user=parties_pb2.UserCredentials(
                login="operator", password="a long password of the operator"
            )
        )
    )
    assert rotated.key_id and answer.token != old
    call: Any = world.channel("parties").unary_unary(
        GET, request_serializer=parties_pb2.GetPartyRequest.SerializeToString
    )
    for token in (old, answer.token):
        with refused("NOT_FOUND"):
            await call(
                parties_pb2.GetPartyRequest(name=NOBODY),
                metadata=[("authorization", f"Bearer {token}")],
            )


async def test_a_service_tells_its_contract_by_reflection(world: World) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(world.channel("parties"))
    call = stub.ServerReflectionInfo(
        iter([reflection_pb2.ServerReflectionRequest(list_services="")])
    )
    async for answer in call:
        names = {service.name for service in answer.list_services_response.service}
    assert {
        "ironloop.parties.v1.PartiesService",
        "ironloop.kit.v1.OperatorService",
        "grpc.health.v1.Health",
    } <= names


async def test_metrics_count_calls_pool_and_outbox(world: World) -> None:
    with refused("NOT_FOUND"):
        await parties(world.operator).GetParty(parties_pb2.GetPartyRequest(name=NOBODY))
    address = world.running["parties"].http_address

    def scrape() -> str:
        with urllib.request.urlopen(f"http://{address}/metrics") as answer:
            return str(answer.read().decode())

    page = await asyncio.to_thread(scrape)
    assert f'ironloop_rpc_seconds_count{{code="NOT_FOUND",method="{GET}"}}' in page
    for metric in ("pool_connections", "outbox_rows", "consumer_lag", "events_applied_total"):
        assert f"ironloop_{metric}" in page


async def test_sagas_are_listed_page_by_page(world: World) -> None:
    database = world.running["parties"].runtime.database
    await database.run(
        lambda tx: tx.connection.execute(
            """
            insert into saga (id, kind, subject, state, step, facts, actor, traceparent,
                              create_time, update_time)
            select uuidv7(), 'of_no_kind', 'orders/' || n, case when n % 2 = 0 then 'DONE'
                   else 'REFUSED' end, n, '{}', 'users/1', '', now() - n * interval '1 s', now()
            from generate_series(1, 7) as n
            """
        )
    )
    stub = world.operator.stub(operator_pb2_grpc.OperatorServiceStub, service="parties")
    found: list[str] = []
    token = ""
    while True:
        page = await stub.ListSagas(operator_pb2.ListSagasRequest(page_size=3, page_token=token))
        found += [saga.subject for saga in page.sagas]
        token = page.next_page_token
        if not token:
            break
    assert found == [f"orders/{n}" for n in range(1, 8)]
    done = await stub.ListSagas(operator_pb2.ListSagasRequest(state=operator_pb2.SAGA_STATE_DONE))
    assert [saga.subject for saga in done.sagas] == ["orders/2", "orders/4", "orders/6"]
    with refused("INVALID_PAGE_TOKEN"):
        await stub.ListSagas(operator_pb2.ListSagasRequest(page_token="AAAA"))


async def test_an_etag_guards_a_change(world: World) -> None:
    admin = parties(world.operator)
    made = await admin.CreateParty(new_party())

    def grant(role: options_pb2.Role.ValueType, etag: str) -> parties_pb2.GrantRoleRequest:
        return parties_pb2.GrantRoleRequest(
            request_id=str(uuid4()), name=made.name, etag=etag, role=role
        )

    changed = await admin.GrantRole(grant(options_pb2.ROLE_SELLER, made.etag))
    assert changed.etag != made.etag and changed.event_sequence == 2
    with refused("ETAG_MISMATCH") as refusal:
        await admin.GrantRole(grant(options_pb2.ROLE_LESSOR, made.etag))
    assert refusal.code is grpc.StatusCode.ABORTED


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def heard_world(kafka_world: World) -> AsyncIterator[World]:
    """Return a world in which the probe service hears parties' events."""
    world = kafka_world
    world.ports[SERVICE] = free_port()
    world.databases[SERVICE] = await servers.new_database(SERVICE)
    owner = dsn_of(servers.postgres_dsn(), database=world.databases[SERVICE])
    connection = await asyncpg.connect(owner)
    await connection.execute(SCRATCH)
    await connection.close()
    await world.start(probe_service.DEFINITION)
    yield world


async def test_one_trace_runs_through_grpc_outbox_and_kafka(
    heard_world: World, tmp_path: Path
) -> None:
    world = heard_world
    provider = telemetry.start_tracing("test", tmp_path / "spans.jsonl")
    assert provider is not None
    try:
        made = await parties(world.operator).CreateParty(
            new_party(), metadata=[("traceparent", PARENT)]
        )
        probe = world.running[SERVICE].runtime.database

        async def is_heard() -> bool:
            async with probe.read() as connection:
                return bool(
                    await connection.fetchval("select true from seen where key = $1", made.name)
                )

        await until(is_heard, what="the event's effect")
    finally:
        provider.shutdown()
        telemetry._recorder = None
    lines = [json.loads(line) for line in (tmp_path / "spans.jsonl").read_text().splitlines()]
    spans = {line["name"]: line for line in lines if line["trace_id"] == TRACE}
    rpc = spans["/ironloop.parties.v1.PartiesService/CreateParty"]
    event = spans["event PartyRegistered"]
    assert rpc["parent_span_id"] == "b7ad6b7169203331"
    assert event["parent_span_id"] == rpc["span_id"]
    assert rpc["start_ns"] <= event["start_ns"]


async def test_health_is_served_by_name_and_for_the_whole(world: World) -> None:
    stub = health_pb2_grpc.HealthStub(world.channel("parties"))
    for name in ("", "ironloop.parties.v1.PartiesService", "ironloop.kit.v1.OperatorService"):
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=name))
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
