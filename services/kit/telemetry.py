"""Traces and metrics. One trace runs through gRPC, the outbox and Kafka."""

import atexit
import json
import random
import re
import time
from collections.abc import Sequence
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TextIO

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
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
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)

# Set once by start_tracing; without it spans are not recorded and still passed on.
_recorder: BatchSpanProcessor | None = None

_RESOURCE = Resource.get_empty()  # the exporter writes the service's name itself
_PRESENT: ContextVar[SpanContext | None] = ContextVar("present_span", default=None)


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


def start_tracing(service: str, path: Path | None) -> BatchSpanProcessor | None:
    """Record spans into `path`; without one, calls are still traced on to the next service."""
    if path is None:
        return None
    global _recorder  # noqa: PLW0603  (the process's own, set once at its start)
    _recorder = BatchSpanProcessor(JsonLinesExporter(path, service=service))
    atexit.register(_recorder.shutdown)
    return _recorder


class span:  # noqa: N801  (used as a verb: `with telemetry.span(…):`)
    """A span around a block; `parent` is a W3C traceparent, or empty for the present span.

    Made without OpenTelemetry's tracer, whose samplers, limits and context cost every call more
    than its token, its rules and its answer together; what is recorded is OpenTelemetry's.
    """

    __slots__ = ("_context", "_kind", "_name", "_parent", "_started_ns", "_token")

    def __init__(self, name: str, *, parent: str = "", kind: SpanKind = SpanKind.INTERNAL) -> None:
        self._name = name
        self._kind = kind
        self._parent = (parse_traceparent(parent) if parent else None) or _PRESENT.get()

    def __enter__(self) -> None:
        parent = self._parent
        self._context = SpanContext(
            random.getrandbits(128) if parent is None else parent.trace_id,
            random.getrandbits(64),
            is_remote=False,
            trace_flags=_SAMPLED if parent is None else parent.trace_flags,
        )
        self._token = _PRESENT.set(self._context)
        self._started_ns = time.time_ns()

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        _PRESENT.reset(self._token)
        if _recorder is None:
            return
        finished = ReadableSpan(
            self._name,
            self._context,
            self._parent,
            _RESOURCE,
            kind=self._kind,
            start_time=self._started_ns,
            end_time=time.time_ns(),
        )
        _recorder.on_end(finished)


def traceparent() -> str:
    """Return the present span as a W3C traceparent, or "" outside any."""
    present = _PRESENT.get()
    if present is None:
        return ""
    return f"00-{present.trace_id:032x}-{present.span_id:016x}-{present.trace_flags:02x}"


def trace_id() -> str:
    """Return the present trace's id in hexadecimal, or "" outside any."""
    present = _PRESENT.get()
    return "" if present is None else f"{present.trace_id:032x}"


def parse_traceparent(value: str) -> SpanContext | None:
    """Return the span that a W3C traceparent names, or None where it is absent or malformed."""
    parts = _TRACEPARENT.fullmatch(value)
    if parts is None:
        return None
    trace_number, span_number, flags = (int(part, 16) for part in parts.groups())
    context = SpanContext(trace_number, span_number, is_remote=True, trace_flags=TraceFlags(flags))
    return context if context.is_valid else None
