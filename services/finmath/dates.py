"""Months counted on the calendar."""

from calendar import monthrange
from datetime import date


def add_months(day: date, months: int) -> date:
    """Return the day `months` later, clipped to the month's end: 31 August + 6 = 28 February.

    Raises:
        OverflowError: The result lies outside the years 1 to 9999.
    """
    year, month_index = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not date.min.year <= year <= date.max.year:
        raise OverflowError(f"{day} and {months} months lies outside the calendar")
    month = month_index + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def is_end_of_february(day: date) -> bool:
    """Whether the day is the last of a February."""
    return day.month == 2 and day.day == monthrange(day.year, 2)[1]
