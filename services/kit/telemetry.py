"""Traces and metrics. One trace runs through gRPC, the outbox and Kafka."""

import atexit
import json
import random
import re
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, TextIO, TypeAlias

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from prometheus_client import Counter, Gauge, Histogram

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
TRACEPARENT_HEADER = "traceparent"

RPC_SECONDS = Histogram(
    "ironloop_rpc_seconds", "Duration of calls", ["method", "code"], buckets=LATENCY_BUCKETS_S
)
POOL_CONNECTIONS = Gauge("ironloop_pool_connections", "Connections to PostgreSQL", ["state"])
OUTBOX_ROWS = Gauge("ironloop_outbox_rows", "Events that wait for the broker")
OUTBOX_PUBLISHED = Counter("ironloop_outbox_published_total", "Events the broker acknowledged")
CONSUMER_LAG = Gauge("ironloop_consumer_lag", "Records not applied yet", ["topic"])
EVENTS_APPLIED = Counter(
    "ironloop_events_applied_total", "Events by what became of them", ["type", "outcome"]
)
EVENT_DELAY_SECONDS = Histogram(
    "ironloop_event_delay_seconds", "From outbox to effect", buckets=LATENCY_BUCKETS_S
)

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_SAMPLED = 0x01  # the one flag that W3C defines

SPANS_KEPT_MAX = 50_000  # those of a second at the highest rate; the oldest give way
EXPORT_EVERY_S = 1.0

_RESOURCE = Resource.get_empty()  # the exporter writes the service's name itself


class TraceContext(NamedTuple):
    """A span as its children and the next service know it."""

    trace_id: int
    span_id: int
    flags: int


_Ended: TypeAlias = tuple[str, TraceContext, TraceContext | None, SpanKind, int, int]

_PRESENT: ContextVar[TraceContext | None] = ContextVar("present_span", default=None)

# Set once by start_tracing; without it spans are not recorded and still passed on.
_recorder: "Recorder | None" = None


class JsonLinesExporter(SpanExporter):
    """Writes each span as one line of JSON: ids in hexadecimal, times in nanoseconds of UTC."""

    def __init__(self, path: Path, *, service: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = path.open("a", encoding="utf-8")
        self._service = service

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Append the spans."""
        self._file.write("".join([self._line(span) for span in spans]))
        self._file.flush()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the file."""
        self._file.close()

    def _line(self, span: ReadableSpan) -> str:
        # Written by hand: this runs for every call, beside the calls, and json takes longer.
        own, parent = span.context, span.parent
        parent_id = f'"{parent.span_id:016x}"' if parent else "null"
        return (
            f'{{"trace_id": "{own.trace_id:032x}", "span_id": "{own.span_id:016x}", '
            f'"parent_span_id": {parent_id}, "name": {_quoted(span.name)}, '
            f'"kind": "{span.kind.name}", "service": {_quoted(self._service)}, '
            f'"start_ns": {span.start_time}, "end_ns": {span.end_time}}}\n'
        )


@lru_cache(maxsize=1_000)
def _quoted(text: str) -> str:
    return json.dumps(text)


class Recorder:
    """Keeps spans that have ended, and exports them from a thread of its own.

    A call leaves no more than a tuple here: what OpenTelemetry's tracer and processor do for each
    span cost a call more than its token, its rules and its answer together.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._ended: deque[_Ended] = deque(maxlen=SPANS_KEPT_MAX)
        self.add = self._ended.append
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def shutdown(self) -> None:
        """Export what is left."""
        self._stopping.set()
        self._thread.join()
        self._exporter.shutdown()

    def _run(self) -> None:
        while not self._stopping.wait(EXPORT_EVERY_S):
            self._export()
        self._export()

    def _export(self) -> None:
        ended = [self._ended.popleft() for _ in range(len(self._ended))]
        if ended:
            self._exporter.export([_readable(*one) for one in ended])


def start_tracing(service: str, path: Path | None) -> Recorder | None:
    """Record spans into `path`; without one, calls are still traced on to the next service."""
    if path is None:
        return None
    global _recorder  # noqa: PLW0603  (the process's own, set once at its start)
    _recorder = Recorder(JsonLinesExporter(path, service=service))
    atexit.register(_recorder.shutdown)
    return _recorder


class span:  # noqa: N801  (used as a verb: `with telemetry.span(…):`)
    """A span around a block; `parent` is a W3C traceparent, or empty for the present span."""

    __slots__ = ("_kind", "_name", "_own", "_parent", "_started_ns", "_token")

    def __init__(self, name: str, *, parent: str = "", kind: SpanKind = SpanKind.INTERNAL) -> None:
        self._name = name
        self._kind = kind
        self._parent = (parse_traceparent(parent) if parent else None) or _PRESENT.get()

    def __enter__(self) -> None:
        if self._parent is None:
            self._own = TraceContext(random.getrandbits(128), random.getrandbits(64), _SAMPLED)
        else:
            self._own = TraceContext(self._parent[0], random.getrandbits(64), self._parent[2])
        self._token = _PRESENT.set(self._own)
        self._started_ns = time.time_ns()

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        _PRESENT.reset(self._token)
        if _recorder is not None and self._own.flags & _SAMPLED:
            _recorder.add(
                (self._name, self._own, self._parent, self._kind, self._started_ns, time.time_ns())
            )


def _readable(
    name: str,
    own: TraceContext,
    parent: TraceContext | None,
    kind: SpanKind,
    started_ns: int,
    ended_ns: int,
) -> ReadableSpan:
    return ReadableSpan(
        name,
        _span_context(own, is_remote=False),
        None if parent is None else _span_context(parent, is_remote=True),
        _RESOURCE,
        kind=kind,
        start_time=started_ns,
        end_time=ended_ns,
    )


def _span_context(context: TraceContext, *, is_remote: bool) -> SpanContext:
    return SpanContext(
        context.trace_id, context.span_id, is_remote, trace_flags=TraceFlags(context.flags)
    )


def traceparent() -> str:
    """Return the present span as a W3C traceparent, or "" outside any."""
    present = _PRESENT.get()
    if present is None:
        return ""
    return f"00-{present.trace_id:032x}-{present.span_id:016x}-{present.flags:02x}"


def trace_id() -> str:
    """Return the present trace's id in hexadecimal, or "" outside any."""
    present = _PRESENT.get()
    return "" if present is None else f"{present.trace_id:032x}"


def parse_traceparent(value: str) -> TraceContext | None:
    """Return the span that a W3C traceparent names, or None where it is absent or malformed."""
    parts = _TRACEPARENT.fullmatch(value)
    if parts is None:
        return None
    trace_number, span_number, flags = parts.groups()
    context = TraceContext(int(trace_number, 16), int(span_number, 16), int(flags, 16))
    return context if context.trace_id and context.span_id else None
