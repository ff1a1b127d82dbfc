"""What insights refuses."""

from services.kit.errors import InvalidArgument


class PeriodRefused(InvalidArgument):
    """The period ends before it begins, or is too long."""

    reason = "PERIOD_REFUSED"

    def __init__(self, *, days_max: int) -> None:
        super().__init__("to_date", f"must lie 1 to {days_max} days after from_date")
