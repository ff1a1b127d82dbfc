"""Every line of a machine's life can be made, from events with and without their fields."""

import pytest
from google.protobuf.message import Message
from ironloop.insights.v1 import insights_pb2
from ironloop.leasing.v1 import leasing_events_pb2
from ironloop.marketplace.v1 import marketplace_events_pb2

from services.insights.consumers import CONSUMES
from services.insights.timeline_model import LINES, entry_of
from services.kit import wire


@pytest.mark.parametrize("event_type", LINES, ids=lambda event: event.DESCRIPTOR.name)
def test_an_event_of_a_machine_has_a_line(event_type: type[Message]) -> None:
    line = LINES[event_type]
    fields = event_type.DESCRIPTOR.fields_by_name
    assert "machine" in fields
    named = [line.reference, line.party, line.hours, line.amount.partition(".")[0]]
    assert [field for field in named if field and field not in fields] == []
    entry = entry_of(event_type())
    assert entry is not None
    assert entry.note
    assert (entry.amount_fen, entry.hours) == (None, None)


def test_a_line_says_who_what_and_how_much() -> None:
    entry = entry_of(
        leasing_events_pb2.LeaseActivated(
            lease="leases/1",
            lessee="parties/2",
            financed_amount=wire.money(1_000_000_00),
            schedule=[leasing_events_pb2.ScheduleLine()] * 36,
        )
    )
    assert entry is not None
    assert (entry.reference, entry.party, entry.amount_fen) == (
        "leases/1",
        "parties/2",
        1_000_000_00,
    )
    assert entry.note == "lease of 36 rentals active"


def test_what_is_no_line_has_none() -> None:
    assert entry_of(marketplace_events_pb2.MachineUpdated()) is None
    assert entry_of(insights_pb2.Turnover()) is None
    assert marketplace_events_pb2.MachineUpdated in CONSUMES
