"""Traces and metrics. One trace runs through gRPC, the outbox and Kafka."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, TraceFlags
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

_tracer = trace.get_tracer("ironloop")


class JsonLinesExporter(SpanExporter):
    """Writes each span as one line of JSON."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: TextIO = path.open("a", encoding="utf-8")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Append the spans."""
        for span in spans:
            self._file.write(json.dumps(json.loads(span.to_json(indent=None))) + "\n")
        self._file.flush()
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Close the file."""
        self._file.close()


def start_tracing(service: str, path: Path | None) -> None:
    """Record spans into `path`; without one, calls are still traced on to the next service."""
    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    if path is not None:
        provider.add_span_processor(BatchSpanProcessor(JsonLinesExporter(path)))
    global _tracer  # noqa: PLW0603  (set once at start; tests leave it alone)
    _tracer = provider.get_tracer("ironloop")


@contextmanager
def span(
    name: str, *, parent: str = "", kind: SpanKind = SpanKind.INTERNAL
) -> Iterator[trace.Span]:
    """Run the block inside a span; `parent` is a W3C traceparent, or empty for the present one."""
    remote = parse_traceparent(parent)
    context = trace.set_span_in_context(NonRecordingSpan(remote)) if remote else None
    with _tracer.start_as_current_span(
        name, context=context, kind=kind, record_exception=False, set_status_on_exception=False
    ) as current:
        yield current


def traceparent() -> str:
    """Return the present span as a W3C traceparent, or "" outside any."""
    present = trace.get_current_span(otel_context.get_current()).get_span_context()
    if not present.is_valid:
        return ""
    return f"00-{present.trace_id:032x}-{present.span_id:016x}-{present.trace_flags:02x}"


def trace_id() -> str:
    """Return the present trace's id in hexadecimal, or "" outside any."""
    present = trace.get_current_span().get_span_context()
    return f"{present.trace_id:032x}" if present.is_valid else ""


def parse_traceparent(value: str) -> SpanContext | None:
    """Return the span that a W3C traceparent names, or None where it is absent or malformed."""
    parts = value.split("-")
    if len(parts) != 4:
        return None
    try:
        trace_number, span_number, flags = (int(part, 16) for part in parts[1:])
    except ValueError:
        return None
    context = SpanContext(trace_number, span_number, is_remote=True, trace_flags=TraceFlags(flags))
    return context if context.is_valid else None
