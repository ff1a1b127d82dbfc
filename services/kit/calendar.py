"""The business calendar: a versioned table of holidays and of weekends that are worked.

Only due dates follow it. Interest is counted by the contract's own dates, so a due date that is
shifted changes no interest. The table holds the public holidays that China's State Council
announced; a year it does not know counts weekends only, and `knows` says so.
"""

from dataclasses import dataclass
from datetime import date, timedelta

VERSION = "CN-2026.1"
_SATURDAY = 5
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class BusinessCalendar:
    """Which days are worked.

    Attributes:
        version: Names the table; a schedule keeps the version that it was made with.
        holidays: Days off beside weekends.
        worked_weekends: Saturdays and Sundays that are worked instead.
        years: The years that the table covers.
    """

    version: str
    holidays: frozenset[date]
    worked_weekends: frozenset[date]
    years: frozenset[int]

    def knows(self, day: date) -> bool:
        """Whether the table covers the day's year."""
        return day.year in self.years

    def is_business_day(self, day: date) -> bool:
        """Whether the day is worked."""
        if day in self.worked_weekends:
            return True
        return day.weekday() < _SATURDAY and day not in self.holidays

    def adjust_following(self, day: date) -> date:
        """Return the day itself if it is worked, else the next one that is."""
        while not self.is_business_day(day):
            day += _DAY
        return day

    def add_business_days(self, day: date, count: int) -> date:
        """Return the business day that is `count` (0 or more) business days after `day`."""
        day = self.adjust_following(day)
        for _ in range(count):
            day = self.adjust_following(day + _DAY)
        return day


def _days(first: date, last: date) -> set[date]:
    return {first + _DAY * offset for offset in range((last - first).days + 1)}


# State Council General Office notices on the 2025 and 2026 public holidays.
CHINA = BusinessCalendar(
    version=VERSION,
    holidays=frozenset(
        {date(2025, 1, 1)}
        | _days(date(2025, 1, 28), date(2025, 2, 4))
        | _days(date(2025, 4, 4), date(2025, 4, 6))
        | _days(date(2025, 5, 1), date(2025, 5, 5))
        | _days(date(2025, 5, 31), date(2025, 6, 2))
        | _days(date(2025, 10, 1), date(2025, 10, 8))
        | _days(date(2026, 1, 1), date(2026, 1, 3))
        | _days(date(2026, 2, 15), date(2026, 2, 23))
        | _days(date(2026, 4, 4), date(2026, 4, 6))
        | _days(date(2026, 5, 1), date(2026, 5, 5))
        | _days(date(2026, 6, 19), date(2026, 6, 21))
        | _days(date(2026, 9, 25), date(2026, 9, 27))
        | _days(date(2026, 10, 1), date(2026, 10, 7))
    ),
    worked_weekends=frozenset(
        {
            date(2025, 1, 26),
            date(2025, 2, 8),
            date(2025, 4, 27),
            date(2025, 9, 28),
            date(2025, 10, 11),
            date(2026, 1, 4),
            date(2026, 2, 14),
            date(2026, 2, 28),
            date(2026, 5, 9),
            date(2026, 9, 20),
            date(2026, 10, 10),
        }
    ),
    years=frozenset({2025, 2026}),
)
