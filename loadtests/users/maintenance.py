"""Machines that report every quarter of an hour, many at once (S3)."""

import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import uuid4

from ironloop.maintenance.v1 import telemetry_pb2

from loadtests.grpc_user import GrpcUser, Refused, Unknown
from loadtests.journal import JournalledCommand
from loadtests.telemetry_checker import INGEST

MACHINES_A_STREAM = 1_000
ROWS_A_MESSAGE = 2_000
QUARTER = timedelta(minutes=15)
QUARTERS = 1_900  # from 20 days ago to now; a load of half an hour does not come so far

Item = TypeVar("Item")

pb = telemetry_pb2
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Bursts(GrpcUser):
    """Sends one quarter of an hour of a thousand machines as one stream.

    The users share one calendar: each takes the next quarter, or the next thousand machines of it.
    """

    _turns = itertools.count()

    def on_start(self) -> None:
        """Open the method."""
        super().on_start()
        self._token: str = self.plan.facts["operator"]
        self._start = datetime.fromisoformat(self.plan.facts["telemetry_start"])
        machines: list[str] = self.plan.facts["telemetry_machines"]
        self._slices = list(_parts(machines, MACHINES_A_STREAM))
        self._ingest: Any = self._channel("maintenance").stream_unary(
            f"/ironloop.maintenance.v1.TelemetryService/{INGEST}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=pb.IngestTelemetryResponse.FromString,
        )

    def make(self) -> tuple[datetime, int, list[pb.IngestTelemetryRequest]]:
        """Return the instant, the number of machines and their messages, made before the turn."""
        turn = next(Bursts._turns)
        machines = self._slices[turn % len(self._slices)]
        quarter = turn // len(self._slices)
        if quarter >= QUARTERS:
            raise ValueError("the calendar of the load has ended; take a larger SIZE")
        read_at = self._start + quarter * QUARTER
        rows = list(_rows(machines, read_at, quarter))
        self.items = len(rows)
        messages = [
            pb.IngestTelemetryRequest(readings=part) for part in _parts(rows, ROWS_A_MESSAGE)
        ]
        return read_at, len(machines), messages

    def operation(self, made: Any, /) -> None:
        """Send the stream, and again where its outcome is not known."""
        read_at, machines, messages = made

        def send(_: Any, **options: Any) -> pb.IngestTelemetryResponse:
            answer: pb.IngestTelemetryResponse = self._ingest(iter(messages), **options)
            return answer

        outcome, effects = "", list[str]()
        try:
            answer = self.call(send, messages[0], token=self._token)
            outcome = "OK"
            effects = [f"{answer.accepted + answer.duplicate} {answer.refused}"]
        except Refused as refusal:
            outcome = refusal.reason
            raise
        except Unknown:
            raise
        finally:
            entry = JournalledCommand(
                str(uuid4()), INGEST, f"{read_at.isoformat()} {machines}", outcome, effects
            )
            self.journal.command(entry)


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Yield items by parts of a size."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _rows(machines: Sequence[str], read_at: datetime, quarter: int) -> Iterator[pb.ReadingRow]:
    """Yield what machines report of a quarter; their hours rise by a quarter an hour."""
    at_us = (read_at - _EPOCH) // timedelta(microseconds=1)
    hours = 4_000 + quarter / 4
    values = {
        pb.TELEMETRY_ELEMENT_CUMULATIVE_OPERATING_HOURS: f"{hours}",
        pb.TELEMETRY_ELEMENT_CUMULATIVE_IDLE_HOURS: f"{1_000 + quarter / 16}",
        pb.TELEMETRY_ELEMENT_FUEL_USED: f"{60_000 + quarter * 4}",
        pb.TELEMETRY_ELEMENT_FUEL_REMAINING: f"{100 - quarter % 90}",
        pb.TELEMETRY_ELEMENT_ENGINE_STATUS: "1",
    }
    for machine in machines:
        yield pb.ReadingRow(
            machine=machine,
            element=pb.TELEMETRY_ELEMENT_LOCATION,
            read_at_us=at_us,
            value="28.2",
            longitude="112.9",
        )
        for element, value in values.items():
            yield pb.ReadingRow(machine=machine, element=element, read_at_us=at_us, value=value)
