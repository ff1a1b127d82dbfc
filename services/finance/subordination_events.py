"""What finance tells of consents to junior liens; each event its next sequence."""

from typing import TypedDict

from ironloop.finance.v1 import finance_events_pb2 as events
from ironloop.finance.v1 import subordinations_pb2

from services.finance.subordination_model import Subordination
from services.kit import wire
from services.kit.ids import name


class _Common(TypedDict):
    subordination: str
    sequence: int
    draw: str
    machine: str
    senior_funder: str
    junior_funder: str
    borrower: str


def _common(told: Subordination) -> _Common:
    return {
        "subordination": told.name,
        "sequence": told.event_sequence,
        "draw": name("draws", told.senior_draw_id),
        "machine": told.machine,
        "senior_funder": told.senior_funder,
        "junior_funder": told.junior_funder,
        "borrower": told.borrower,
    }


def given(told: Subordination) -> events.SubordinationGiven:
    """A lender consented."""
    return events.SubordinationGiven(
        **_common(told),
        senior_cap=wire.money(told.senior_cap_fen),
        expire_time=wire.instant(told.expire_at),
    )


def used(told: Subordination) -> events.SubordinationUsed:
    """The junior draw is paid out."""
    assert told.junior_draw_id is not None
    return events.SubordinationUsed(**_common(told), junior_draw=name("draws", told.junior_draw_id))


def ended(told: Subordination) -> events.SubordinationEnded:
    """It expired or was revoked."""
    return events.SubordinationEnded(
        **_common(told),
        state=wire.enum_number(
            subordinations_pb2.SubordinationState, told.state, prefix="SUBORDINATION_STATE_"
        ),
    )
