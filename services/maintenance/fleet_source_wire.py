"""Telematics endpoints as the contract shows them; never their secrets."""

from ironloop.maintenance.v1 import telemetry_pb2

from services.kit import wire
from services.maintenance.fleet_source_store import ResumePoint
from services.maintenance.settings import FleetSource


def source_to_wire(source: FleetSource, point: ResumePoint | None) -> telemetry_pb2.FleetSource:
    """Return an endpoint, and how far the poller has come with it."""
    message = telemetry_pb2.FleetSource(
        name=source.name, party=source.party, base_url=source.base_url
    )
    if point is not None:
        message.next_href = point.next_href
        message.pages = point.pages
        message.failures = point.failures
        message.last_error = point.last_error
        message.next_time.CopyFrom(wire.instant(point.next_time))
        if point.finish_time is not None:
            message.finish_time.CopyFrom(wire.instant(point.finish_time))
    return message
