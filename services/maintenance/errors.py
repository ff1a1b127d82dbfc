"""What maintenance refuses about telemetry, meters and faults."""

from datetime import datetime
from decimal import Decimal

from services.kit.errors import AlreadyExists, InvalidArgument, PreconditionFailed


class DocumentRefused(InvalidArgument):
    """A fleet page as a whole cannot be read."""

    reason = "PAGE_REFUSED"

    def __init__(self, why: str) -> None:
        super().__init__("document", why)


class MeterWouldFall(PreconditionFailed):
    """A figure contradicts the readings before or after it."""

    reason = "METER_WOULD_FALL"

    def __init__(self, machine: str, *, figure: Decimal, beside: Decimal) -> None:
        super().__init__(
            f"a reading of {figure:f} contradicts the accepted one of {beside:f}; record the"
            " replacement of the meter, or correct that one first",
            subject=machine,
            figure=f"{figure:f}",
            beside=f"{beside:f}",
        )


class ReadingOutOfOrder(PreconditionFailed):
    """A replacement lies before what the meter has already shown."""

    reason = "READING_OUT_OF_ORDER"

    def __init__(self, machine: str, *, last: datetime) -> None:
        super().__init__(
            f"the meter was last read at {last:%Y-%m-%d %H:%M}, after the replacement",
            subject=machine,
        )


class ReadingExists(AlreadyExists):
    """The meter has a reported reading of this instant with another figure."""

    reason = "READING_EXISTS"

    def __init__(self, reading: str, *, figure: Decimal) -> None:
        super().__init__(
            f"{reading} reports {figure:f} for the same instant; correct it if it is wrong",
            reading=reading,
        )


class SimulationDisabled(PreconditionFailed):
    """Only a local stack makes faults up."""

    reason = "SIMULATION_DISABLED"

    def __init__(self) -> None:
        super().__init__("faults are simulated in the local setting only")
