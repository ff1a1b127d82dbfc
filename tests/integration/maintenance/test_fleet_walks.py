"""Fleets taken in from a real endpoint, page by page."""

import asyncio
import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ironloop.maintenance.v1 import telemetry_pb2

from services.iso15143.model import Equipment, Fleet, Hours, Link
from services.iso15143.writer import write_json_page, write_page
from services.maintenance import fleet_source_store
from services.maintenance.fleet_client import FetchFailed, FleetClient
from services.maintenance.fleet_desk import FleetDesk
from services.maintenance.fleet_poller import FleetPoller
from services.maintenance.settings import FleetSource, MaintenanceSettings
from services.maintenance.telemetry_intake import Intake
from tests.integration.maintenance.field import HOURS, Field, header_of, telemetry

pb = telemetry_pb2


@dataclass(slots=True)
class Endpoint:
    """A telematics provider: pages behind OAuth 2.0 or a key, which may fail.

    Attributes:
        pages: Body by path.
        failing: Statuses that the next requests for pages get.
        asked: What was asked for, in order.
        tokens: How many tokens were given; only the last one holds.
    """

    url: str = ""
    pages: dict[str, bytes] = field(default_factory=dict)
    failing: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    grants: list[dict[str, str]] = field(default_factory=list)
    tokens: int = 0

    def expected(self) -> set[str]:
        """Return what shows that a request may be answered."""
        return {f"Bearer token-{self.tokens}", "key-1"}


@contextmanager
def endpoint() -> Iterator[Endpoint]:
    """Hold a telematics provider open on a real HTTP server."""
    provider = Endpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = dict(urllib.parse.parse_qsl(body))
            provider.grants.append(form | {"client": self.headers.get("Authorization", "")})
            provider.tokens += 1
            answer = {"access_token": f"token-{provider.tokens}", "expires_in": 3600}
            self._send(200, json.dumps(answer).encode())

        def do_GET(self) -> None:
            provider.asked.append(self.path)
            shown = {self.headers.get("Authorization"), self.headers.get("X-API-Key")}
            if not shown & provider.expected():
                self._send(401, b"")
            elif provider.failing:
                status, headers = provider.failing.pop(0)
                self._send(status, b"", **headers)
            elif self.path in provider.pages:
                self._send(200, provider.pages[self.path])
            else:
                self._send(404, b"")

        def _send(self, status: int, body: bytes, **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    provider.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()


class Polled:
    """A poller of an endpoint for an owner's party, stepped by the test."""

    def __init__(self, owner: Field, provider: Endpoint, **values: Any) -> None:
        stated = {
            "name": f"source-{owner.owner.party[-12:]}",
            "party": owner.owner.party,
            "base_url": f"{provider.url}/aemp",
            "token_url": f"{provider.url}/token",
            "auth": "client_credentials",
            "client_id": "us",
            "client_secret": "se:cret",
        } | values
        self.source = FleetSource(**stated)
        self.runtime = owner.world.running["maintenance"].runtime

    def poller(self) -> FleetPoller:
        """Return a poller as after a start of the service."""
        desk = FleetDesk(self.runtime, Intake(self.runtime.database))
        return FleetPoller(self.runtime, desk, self.source)

    async def point(self) -> fleet_source_store.ResumePoint:
        """Return where the walk stands."""
        async with self.runtime.database.read() as connection:
            return (await fleet_source_store.list_points(connection))[self.source.name]

    async def make_due(self) -> None:
        """Let the poller come at once."""
        point = await self.point()

        async def work(tx: Any) -> None:
            due = replace(point, next_time=self.runtime.clock.now() - timedelta(seconds=1))
            await fleet_source_store.save_point(tx.connection, due)

        await self.runtime.database.run(work)


async def machines_on_pages(owner: Field, provider: Endpoint, count: int) -> list[str]:
    """Have a provider serve a machine a page; return the machines' names."""
    names = []
    for number in range(count):
        machine = await owner.machine()
        names.append(machine.name)
        links = [Link("self", f"{provider.url}/aemp/Fleet/{number + 1}")]
        # Relative links, and a last page whose next is itself, have both been seen.
        following = number + 2 if number + 1 < count else number + 1
        links.append(Link("next", f"{provider.url}/aemp/Fleet/{following}"))
        page = Fleet(
            (Equipment(header_of(machine), operating_hours=_hours(owner, number)),), tuple(links)
        )
        write = write_json_page if number % 2 else write_page
        provider.pages[f"/aemp/Fleet/{number + 1}"] = write(page)
    return names


async def test_a_walk_takes_every_page_and_rests(owner: Field) -> None:
    with endpoint() as provider:
        machines = await machines_on_pages(owner, provider, 3)
        polled = Polled(owner, provider)
        poller = polled.poller()
        for _ in range(3):
            await poller.step()
        point = await polled.point()
        assert provider.asked == [f"/aemp/Fleet/{number}" for number in (1, 2, 3)]
        assert (point.pages, point.next_href, point.failures) == (3, "", 0)
        assert point.finish_time is not None
        assert point.next_time - point.finish_time == timedelta(minutes=15)
        assert (await poller.step()) > timedelta(seconds=30)  # not due: nobody is asked
        assert len(provider.asked) == 3
        for number, machine in enumerate(machines):
            assert (await owner.meter(machine)).figure.value == str(number)
        # The second walk brings nothing new, and one token was enough.
        await polled.make_due()
        await poller.step()
        assert provider.tokens == 1
        assert provider.grants[0]["grant_type"] == "client_credentials"
        listed = await telemetry(owner.world.operator).ListFleetSources(
            pb.ListFleetSourcesRequest()
        )
        assert list(listed.sources) == []  # this one is not in the service's own settings


async def test_a_walk_goes_on_where_it_stood_after_a_restart(owner: Field) -> None:
    with endpoint() as provider:
        await machines_on_pages(owner, provider, 3)
        polled = Polled(owner, provider)
        await polled.poller().step()
        assert (await polled.point()).next_href == f"{provider.url}/aemp/Fleet/2"
        # Another process comes up, with no memory but the row.
        restarted = polled.poller()
        await restarted.step()
        await restarted.step()
        assert provider.asked == [f"/aemp/Fleet/{number}" for number in (1, 2, 3)]
        assert (await polled.point()).pages == 3


async def test_two_processes_do_not_walk_at_the_same_time(owner: Field) -> None:
    with endpoint() as provider:
        await machines_on_pages(owner, provider, 1)
        polled = Polled(owner, provider)
        await asyncio.gather(*(polled.poller().step() for _ in range(4)))
        assert provider.asked == ["/aemp/Fleet/1"]


async def test_failures_are_waited_out_ever_longer_and_as_asked(owner: Field) -> None:
    with endpoint() as provider:
        await machines_on_pages(owner, provider, 2)
        polled = Polled(owner, provider)
        poller = polled.poller()
        await poller.step()
        provider.failing = [(503, {}), (500, {}), (429, {"Retry_After": "120"})]
        waits = []
        for _ in range(3):
            before = polled.runtime.clock.now()
            await polled.make_due()
            await poller.step()
            waits.append((await polled.point()).next_time - before)
        point = await polled.point()
        assert (point.failures, point.last_error) == (3, "HTTP 429")
        assert point.next_href == f"{provider.url}/aemp/Fleet/2"
        assert timedelta(seconds=0.5) <= waits[0] <= timedelta(seconds=5)
        assert waits[1] >= timedelta(seconds=1)
        assert waits[2] >= timedelta(seconds=120)
        await polled.make_due()
        await poller.step()
        assert (await polled.point()).failures == 0
        # A page that is gone: from the start.
        await polled.make_due()
        await poller.step()
        provider.failing = [(404, {})]
        await polled.make_due()
        await poller.step()
        assert (await polled.point()).next_href == ""


async def test_a_page_that_cannot_be_read_is_a_failure_too(owner: Field) -> None:
    with endpoint() as provider:
        provider.pages["/aemp/Fleet/1"] = b"<!DOCTYPE Fleet><Fleet/>"
        polled = Polled(owner, provider)
        await polled.poller().step()
        assert "document type" in (await polled.point()).last_error


async def test_a_token_is_renewed_where_it_no_longer_holds(owner: Field) -> None:
    with endpoint() as provider:
        await machines_on_pages(owner, provider, 1)
        polled = Polled(
            owner, provider, auth="password", username="ann", password="p", scope="telematics"
        )
        poller = polled.poller()
        await poller.step()
        provider.tokens += 1  # as if the token had been withdrawn
        await polled.make_due()
        await poller.step()
        assert (await polled.point()).failures == 0
        grant = provider.grants[-1]
        assert (grant["grant_type"], grant["username"]) == ("password", "ann")
        assert (grant["password"], grant["scope"]) == ("p", "telematics")
        assert grant["client"].startswith("Basic ")


async def test_an_api_key_opens_an_endpoint_and_a_wrong_one_does_not(owner: Field) -> None:
    with endpoint() as provider:
        await machines_on_pages(owner, provider, 1)
        right = Polled(owner, provider, auth="api_key", api_key="key-1")
        await right.poller().step()
        assert (await right.point()).failures == 0
        wrong = Polled(owner, provider, name="wrong", auth="api_key", api_key="key-2")
        await wrong.poller().step()
        assert (await wrong.point()).last_error == "HTTP 401"


async def test_credentials_go_to_no_other_host(owner: Field) -> None:
    with endpoint() as provider, endpoint() as elsewhere:
        machine = await owner.machine()
        page = Fleet(
            (Equipment(header_of(machine)),), (Link("next", f"{elsewhere.url}/aemp/Fleet/2"),)
        )
        provider.pages["/aemp/Fleet/1"] = write_page(page)
        polled = Polled(owner, provider)
        poller = polled.poller()
        await poller.step()
        await poller.step()
        assert elsewhere.asked == []
        assert "leads to" in (await polled.point()).last_error
        provider.failing = [(302, {"Location": f"{elsewhere.url}/aemp/Fleet/1"})]
        with pytest.raises(FetchFailed, match="HTTP 302"):
            await FleetClient(polled.source).fetch(f"{provider.url}/aemp/Fleet/1")
        assert elsewhere.asked == []


async def test_an_endless_page_is_left_off_and_another_partys_machine_untouched(
    owner: Field,
) -> None:
    with endpoint() as provider:
        provider.pages["/aemp/Fleet/1"] = b" " * (17 * 1024 * 1024)
        polled = Polled(owner, provider)
        with pytest.raises(FetchFailed, match="more than"):
            await FleetClient(polled.source).fetch(f"{provider.url}/aemp/Fleet/1")
        other = await Field.open(owner.world)
        theirs = await other.machine()
        hours = Hours(_hours(owner, 5).hours, owner.at(1))
        provider.pages["/aemp/Fleet/1"] = write_page(
            Fleet((Equipment(header_of(theirs), operating_hours=hours),))
        )
        await polled.poller().step()
        assert (await polled.point()).failures == 0
        shown = await telemetry(other.owner).IngestTelemetry(_nothing())
        assert shown.accepted == 0


async def test_our_own_pages_are_an_endpoint_like_any_other(owner: Field, pages_url: str) -> None:
    machine = await owner.machine()
    await owner.hours(machine.name, (1, "5"))
    source = FleetSource(
        name="ourselves",
        party=owner.owner.party,
        base_url=pages_url,
        auth="api_key",
        api_key_header="Authorization",
        api_key=f"Bearer {owner.owner.token}",
    )
    runtime = owner.world.running["maintenance"].runtime
    desk = FleetDesk(runtime, Intake(runtime.database))
    await FleetPoller(runtime, desk, source).step()
    async with runtime.database.read() as connection:
        point = (await fleet_source_store.list_points(connection))["ourselves"]
    assert (point.failures, point.pages) == (0, 1)
    listed = await telemetry(owner.owner).ListReadings(
        pb.ListReadingsRequest(machine=machine.name, element=HOURS)
    )
    assert len(listed.readings) == 1


def test_outside_the_local_setting_an_endpoint_must_be_encrypted() -> None:
    source = {"name": "a", "party": f"parties/{'0' * 8}-0000-0000-0000-{'0' * 12}"}
    values: dict[str, Any] = {"postgres_dsn": "x", "page_token_key": "k" * 32}
    plain = source | {"base_url": "http://api.example"}
    with pytest.raises(ValueError, match="not encrypted"):
        MaintenanceSettings(**values, sources=[plain])
    MaintenanceSettings(**values, sources=[source | {"base_url": "https://api.example"}])
    with pytest.raises(ValueError, match="same name"):
        MaintenanceSettings(**values, environment="local", sources=[plain, plain])
    with pytest.raises(ValueError, match="token_url"):
        MaintenanceSettings(**values, environment="local", sources=[plain | {"auth": "password"}])


def _hours(owner: Field, number: int) -> Hours:
    return Hours(Decimal(number), owner.at(1))


async def _nothing() -> AsyncIterator[pb.IngestTelemetryRequest]:
    yield pb.IngestTelemetryRequest()
