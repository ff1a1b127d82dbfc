"""What leasing asks of maintenance: to judge a reading of a meter, outside transactions."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from ironloop.maintenance.v1 import meters_pb2, meters_pb2_grpc

from services.kit import wire
from services.kit.clients import Peers

_READING_STATES = {
    meters_pb2.METER_READING_STATE_ACCEPTED: "ACCEPTED",
    meters_pb2.METER_READING_STATE_QUARANTINED: "QUARANTINED",
}


@dataclass(frozen=True, slots=True)
class Reported:
    """A meter reading that was reported at maintenance.

    Attributes:
        name: "meterReadings/<uuid>"; "" where maintenance refused it.
        state: As the contract of usage shows it: "ACCEPTED", "QUARANTINED" or "NOT_COUNTED".
        hours: The machine's life with it; None unless it is accepted.
    """

    name: str
    state: str
    read_at: datetime
    hours: Decimal | None


async def report_hours(
    peers: Peers,
    machine: str,
    *,
    hours: Decimal,
    read_at: datetime | None,
    lease: str,
    actor: str,
    request_id: str,
) -> Reported:
    """Report what a machine's hour meter shows, for the user who read it.

    Args:
        read_at: None for now.

    Raises:
        PeerRefused: Maintenance does not take it.
        PeerUnavailable: Maintenance does not answer.
    """
    stub = peers.stub("maintenance", meters_pb2_grpc.MeterServiceStub)
    answer = await peers.call(
        stub.ReportMeterReading,
        meters_pb2.ReportMeterReadingRequest(
            request_id=request_id,
            machine=machine,
            hours=wire.decimal(hours),
            reading_time=None if read_at is None else wire.instant(read_at),
            reference=lease,
        ),
        on_behalf_of=actor,
    )
    is_accepted = answer.state == meters_pb2.METER_READING_STATE_ACCEPTED
    return Reported(
        name=answer.name,
        state=_READING_STATES.get(answer.state, "NOT_COUNTED"),
        read_at=wire.to_instant(answer.reading_time, field="reading_time"),
        hours=wire.to_decimal(answer.life_hours, field="life_hours") if is_accepted else None,
    )
