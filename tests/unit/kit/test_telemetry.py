"""Trace contexts, however strange the header."""

import pytest

from services.kit import telemetry

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_span_goes_on_with_its_parents_trace() -> None:
    with telemetry.span("outer", parent=PARENT):
        assert telemetry.trace_id() == "0af7651916cd43dd8448eb211c80319c"
        outer = telemetry.traceparent()
        assert outer != PARENT and outer.startswith(PARENT[:35])
        with telemetry.span("inner"):
            assert telemetry.trace_id() == "0af7651916cd43dd8448eb211c80319c"
        assert telemetry.traceparent() == outer
    assert telemetry.traceparent() == ""


def test_a_span_without_parent_begins_a_trace() -> None:
    with telemetry.span("one"):
        first = telemetry.trace_id()
    with telemetry.span("two"):
        assert telemetry.trace_id() not in ("", first)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "x",
        "00-0-0-0",
        PARENT.replace("-01", "-1234"),
        PARENT.upper(),
        PARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
        PARENT.replace("b7ad", "b_ad"),
        PARENT.replace("b7ad", " 7ad"),
    ],
)
def test_a_malformed_parent_is_ignored(header: str) -> None:
    assert telemetry.parse_traceparent(header) is None
