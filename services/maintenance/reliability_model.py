"""How reliable a machine is: MTBF, MTTR and availability (domain page §3.4)."""

from dataclasses import dataclass
from decimal import Decimal

from services.finmath.money import ratio

MONTHS = 12  # over which a machine's reliability is counted
HOURS_PLACES = 2
SHARE_PLACES = 4


@dataclass(frozen=True, slots=True)
class Reliability:
    """A machine's reliability over a time.

    Attributes:
        hours_run: Hours that it ran; None where no reading says.
        failures: Completed corrective work orders that had the machine down.
        downtime_hours: For how long those had it down.
    """

    hours_run: Decimal | None
    failures: int
    downtime_hours: Decimal

    @property
    def mtbf_hours(self) -> Decimal | None:
        """Mean time between failures: 600 h over 3 failures are 200 h."""
        if self.hours_run is None or not self.failures:
            return None
        return ratio(self.hours_run, self.failures, places=HOURS_PLACES)

    @property
    def mttr_hours(self) -> Decimal | None:
        """Mean time to repair: 12 h over 3 failures are 4 h."""
        return ratio(self.downtime_hours, self.failures, places=2) if self.failures else None

    @property
    def availability(self) -> Decimal | None:
        """Running over running and down: 600 h and 12 h are 200/204, 98.04 %."""
        if self.hours_run is None or not self.hours_run + self.downtime_hours:
            return None
        return ratio(self.hours_run, self.hours_run + self.downtime_hours, places=SHARE_PLACES)
