"""What telemetry costs: a stream of readings beside COPY, and a fleet page beside its bare parts.

Ratios are taken within a round, in which each is measured right after the other, of as many
readings of the same kind into the same partitioned, indexed table.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeAlias
from uuid import UUID

import asyncpg
from ironloop.maintenance.v1 import telemetry_pb2
from lxml import etree
from rich.progress import Progress

from infra.bench.lab import PASSWORD, Lab, open_lab
from infra.bench.report import Figure
from infra.local.client import AuthorisedChannel
from infra.local.databases import ensure_database, ensure_role
from infra.local.processes import free_port
from services.iso15143.model import (
    Count,
    Engine,
    Equipment,
    Fleet,
    Header,
    Hours,
    Level,
    Location,
    Quantity,
)
from services.iso15143.writer import write_page
from services.kit.ids import new_id
from services.maintenance.fleet_rows import rows_of
from services.maintenance.telemetry_model import TelemetryElement, TelemetryRow

SERVICE = "maintenance"
ROUNDS = 7
MACHINES = 10_000
ROWS_A_MESSAGE = 2_000  # about 100 kB
PAGES = 8  # of a round
PAGE_MACHINES = 100
QUARTER = timedelta(minutes=15)
READY_WITHIN_S = 60.0

Owner: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
pb = telemetry_pb2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MACHINE = """
    insert into monitored_machine (
        id, serial_number, make, model, title_holder, custodian, create_time, update_time)
    select id, id::text, 'Northwind', 'NW 220', 'parties/owner', 'parties/owner', $2, $2
    from unnest($1::uuid[]) as one (id)
"""


async def measure() -> list[Figure]:
    """Measure everything; takes about a minute."""
    with Progress(transient=True) as progress:
        task = progress.add_task("telemetry: starting servers", total=1 + 2 * ROUNDS)
        async with open_lab() as lab:
            fleet = await _start(lab)
            owner = await asyncpg.connect(lab.owner_dsn(SERVICE))
            async with lab.channel(SERVICE) as channel:
                authorised: Any = AuthorisedChannel(channel, lab.token)
                await _ingest(authorised, fleet.messages(0))  # meters and series are made once
                progress.update(task, advance=1, description="telemetry: streams")
                streams = []
                for number in range(1, 1 + ROUNDS):
                    streams.append(await _stream_round(authorised, owner, fleet, number))
                    progress.advance(task)
                progress.update(task, description="telemetry: fleet pages")
                pages = []
                await _page_round(authorised, owner, fleet, 0)
                for number in range(1, 1 + ROUNDS):
                    pages.append(await _page_round(authorised, owner, fleet, number))
                    progress.advance(task)
            await owner.close()
    return [
        Figure(
            "ingest_over_copy",
            "ratio",
            [ingest / copy for ingest, copy in streams],
            must=0.1,
            aim=0.25,
        ),
        Figure("ingest", "readings/s", [ingest for ingest, _ in streams]),
        Figure("copy", "readings/s", [copy for _, copy in streams]),
        Figure(
            "fleet_page_over_parts",
            "ratio",
            [page / parts for page, parts in pages],
            must=4,
            aim=2,
            is_at_least=False,
        ),
        Figure("fleet_page", "ms", [page * 1_000 for page, _ in pages]),
        Figure("fleet_page_parts", "ms", [parts * 1_000 for _, parts in pages]),
    ]


class _Fleet:
    """Machines that report every quarter of an hour, and what they report."""

    def __init__(self, machines: list[UUID], start: datetime) -> None:
        self.machines = machines
        # Readings of the two kinds of measurement lie in one month and never meet.
        self.start = start.replace(day=15, hour=0, minute=0, second=0, microsecond=0)

    def rows(self, quarter: int) -> Iterator[tuple[UUID, int, datetime, str, str]]:
        """Yield (machine, element, time, value, longitude) of a quarter of an hour."""
        read_at = self.start + quarter * QUARTER
        hours = Decimal(4_000) + Decimal(quarter) / 4
        for machine in self.machines:
            yield machine, TelemetryElement.LOCATION, read_at, "28.2", "112.9"
            yield machine, TelemetryElement.CUMULATIVE_OPERATING_HOURS, read_at, f"{hours}", ""
            yield machine, TelemetryElement.CUMULATIVE_IDLE_HOURS, read_at, f"{hours / 4}", ""
            yield machine, TelemetryElement.FUEL_USED, read_at, f"{hours * 15}", ""
            yield machine, TelemetryElement.FUEL_REMAINING, read_at, "62.40", ""
            yield machine, TelemetryElement.ENGINE_STATUS, read_at, "1", ""

    def messages(self, quarter: int) -> list[bytes]:
        """Return a quarter's readings as messages of a stream."""
        rows = [
            pb.ReadingRow(
                machine=f"machines/{machine}",
                element=element,  # type: ignore[arg-type]  # the contract's own number
                read_at_us=(read_at - _EPOCH) // timedelta(microseconds=1),
                value=value,
                longitude=longitude,
            )
            for machine, element, read_at, value, longitude in self.rows(quarter)
        ]
        return [
            pb.IngestTelemetryRequest(
                readings=rows[start : start + ROWS_A_MESSAGE]
            ).SerializeToString()
            for start in range(0, len(rows), ROWS_A_MESSAGE)
        ]

    def copied(self, quarter: int) -> bytes:
        """Return as many readings, of two weeks before, as COPY takes them."""
        before = timedelta(days=14)
        return "".join(
            f"{machine}\t{element:d}\t{read_at - before}\t\t{value}\t{longitude or _NULL}\t{_REST}"
            for machine, element, read_at, value, longitude in self.rows(quarter)
        ).encode()

    def page(self, number: int, *, before: timedelta = timedelta()) -> tuple[Equipment, ...]:
        """Return a page's machines as a poller meets them a quarter of an hour after the last."""
        first = self.start + timedelta(days=5) + number * QUARTER - before
        hours = Decimal(4_100) + Decimal(number) / 4
        return tuple(
            _equipment(machine, first + timedelta(milliseconds=place), hours)
            for place, machine in enumerate(self.machines[:PAGE_MACHINES])
        )


_NULL = "\\N"
_REST = "\t".join([_NULL] * 5) + "\n"


def _equipment(machine: UUID, at: datetime, hours: Decimal) -> Equipment:
    return Equipment(
        Header(str(machine), "Northwind", "NW 220", str(machine), None, _EPOCH),
        location=Location(Decimal("28.2"), Decimal("112.9"), Decimal(81), at),
        operating_hours=Hours(hours, at),
        idle_hours=Hours(hours / 4, at),
        fuel_used=Quantity(hours * 15, "litre", at),
        fuel_used_last_24=Quantity(Decimal(212), "litre", at),
        fuel_remaining=Level(Decimal("62.40"), Decimal(400), "litre", at),
        def_remaining=Level(Decimal("80"), None, "litre", at),
        distance=Quantity(Decimal("1200.5"), "kilometre", at),
        engine=Engine("1", True, at),
        load_count=Count(90_211, at),
    )


async def _start(lab: Lab) -> _Fleet:
    await ensure_role(lab.server_dsn, SERVICE, password=PASSWORD)
    await ensure_database(lab.server_dsn, SERVICE, database=SERVICE)
    now = datetime.now(UTC)
    fleet = _Fleet([new_id() for _ in range(MACHINES)], now.replace(day=1) - timedelta(days=1))
    owner = await asyncpg.connect(lab.owner_dsn(SERVICE))
    await owner.execute(_MACHINE, fleet.machines, now)
    await owner.fetchval("select make_telemetry_partition($1)", fleet.start.date())
    await owner.execute("analyze monitored_machine")
    await owner.close()
    lab.ports[SERVICE] = free_port()
    lab.run(
        SERVICE,
        "services.maintenance",
        environment="local",
        page_token_key="k" * 32,
        kafka_bootstrap="",
        drain_s="1",
        listen=f"127.0.0.1:{lab.ports[SERVICE]}",
        postgres_dsn=lab.dsn(SERVICE),
        jwks_url=f"http://127.0.0.1:{lab.http_port}/.well-known/jwks.json",
    )
    async with lab.channel(SERVICE) as channel, asyncio.timeout(READY_WITHIN_S):
        await channel.channel_ready()
    return fleet


async def _stream_round(
    channel: Any, owner: Owner, fleet: _Fleet, number: int
) -> tuple[float, float]:
    """Return readings per second by stream and by COPY."""
    messages, copied = fleet.messages(number), fleet.copied(number)
    count = copied.count(b"\n")
    started_s = time.perf_counter()
    await _copy(owner, copied)
    copy_s = time.perf_counter() - started_s
    started_s = time.perf_counter()
    answer = await _ingest(channel, messages)
    ingest_s = time.perf_counter() - started_s
    if answer.accepted != count or answer.quarantined or answer.refused:
        raise RuntimeError(f"of {count} readings {answer.accepted} were accepted: {answer}")
    return count / ingest_s, count / copy_s


async def _page_round(
    channel: Any, owner: Owner, fleet: _Fleet, number: int
) -> tuple[float, float]:
    """Return the median seconds of a page, and of parsing it and copying its readings."""
    take: Any = channel.unary_unary(
        "/ironloop.maintenance.v1.TelemetryService/ImportFleetSnapshot",
        response_deserializer=pb.ImportFleetSnapshotResponse.FromString,
    )
    pages, parts = [], []
    for place in range(PAGES):
        quarter = number * PAGES + place
        page = write_page(Fleet(fleet.page(quarter), snapshot_time=fleet.start))
        rows = _copied_page(fleet, quarter)
        request = pb.ImportFleetSnapshotRequest(document=page).SerializeToString()
        started_s = time.perf_counter()
        answer = await take(request)
        pages.append(time.perf_counter() - started_s)
        if answer.accepted != rows.count(b"\n") or answer.unreadable:
            raise RuntimeError(f"a page was not taken whole: {answer.accepted} of {len(rows)}")
        started_s = time.perf_counter()
        etree.fromstring(page)
        await _copy(owner, rows)
        parts.append(time.perf_counter() - started_s)
    return sorted(pages)[PAGES // 2], sorted(parts)[PAGES // 2]


def _copied_page(fleet: _Fleet, quarter: int) -> bytes:
    """Return a page's readings, of two weeks before, as COPY takes them."""
    lines = []
    for equipment in fleet.page(quarter, before=timedelta(days=14)):
        machine = UUID(equipment.header.equipment_id)
        read = rows_of(machine, equipment, assumed_at=fleet.start, now=datetime.now(UTC))
        lines += [_line(row) for row in read.rows]
    return "".join(lines).encode()


def _line(row: TelemetryRow) -> str:
    return "\t".join(_NULL if value is None else str(value) for value in row) + "\n"


async def _copy(owner: Owner, rows: bytes) -> None:
    # A buffer goes out as it is; bytes would be taken for a path, a file read in a thread.
    await owner.copy_to_table("telemetry", source=memoryview(rows))  # type: ignore[arg-type]


async def _ingest(channel: Any, messages: list[bytes]) -> pb.IngestTelemetryResponse:
    call: Any = channel.stream_unary(
        "/ironloop.maintenance.v1.TelemetryService/IngestTelemetry",
        response_deserializer=pb.IngestTelemetryResponse.FromString,
    )

    async def sent() -> AsyncIterator[bytes]:
        for message in messages:
            yield message

    answer: pb.IngestTelemetryResponse = await call(sent())
    return answer
