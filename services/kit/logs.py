"""Structured logs: one event a line, JSON, with the trace it belongs to."""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from services.kit import telemetry


def start_logging(service: str) -> None:
    """Write every log line as JSON to standard output; libraries from WARNING on."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _add_trace,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format=_LIBRARY_FORMAT)


_LIBRARY_FORMAT = (
    '{"level": "%(levelname)s", "logger": "%(name)s", "event": "library_said"} %(message)s'
)


def _add_trace(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    if trace_id := telemetry.trace_id():
        event["trace_id"] = trace_id
    return event
