"""Domain time: instants in UTC, business dates in Asia/Shanghai.

Domain code asks a `Clock`. In the local setting an operator moves it ahead by whole days, so that
a lease of three years runs in a demo; everywhere else it is the wall clock. Tokens, Kafka and
retries use real time.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

BUSINESS_ZONE = ZoneInfo("Asia/Shanghai")


class Clock(Protocol):
    """Tells domain time."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        ...

    def today(self) -> date:
        """Return the present business date."""
        ...


@dataclass(slots=True)
class BusinessClock:
    """The wall clock, moved ahead by whole days where the setting allows it."""

    days_ahead: int = 0

    def now(self) -> datetime:
        """Return the wall time plus the days ahead."""
        return datetime.now(UTC) + timedelta(days=self.days_ahead)

    def today(self) -> date:
        """Return the business date of `now`."""
        return business_date(self.now())


def business_date(instant: datetime) -> date:
    """Return the business date on which an instant falls."""
    return instant.astimezone(BUSINESS_ZONE).date()


def start_of(day: date) -> datetime:
    """Return the first instant of a business date, in UTC."""
    return datetime.combine(day, time.min, tzinfo=BUSINESS_ZONE).astimezone(UTC)
