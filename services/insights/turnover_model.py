"""The turnover measures of a fleet (domain page §3.4), from what was noted of its machines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from services.finmath.money import ratio, round_half_up

DAYS_A_YEAR = 365
DAY_PLACES = 2
HOUR_PLACES = 2
SHARE_PLACES = 4


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `start` on, before `end`."""

    start: date
    end: date

    @property
    def days(self) -> int:
        """How many days it has."""
        return (self.end - self.start).days


@dataclass(frozen=True, slots=True)
class Stay:
    """Days that a machine was somewhere or someone's; `end` is the day after, None while open."""

    machine: UUID
    start: date
    end: date | None


@dataclass(frozen=True, slots=True)
class Owned:
    """A machine of the fleet.

    Attributes:
        cost_fen: What it cost the owner.
    """

    stay: Stay
    cost_fen: int


@dataclass(frozen=True, slots=True)
class Money:
    """What fell due in the period, in fen.

    Attributes:
        rent_fen: Rentals of the owner's leases, whoever they are owed to.
        billed_fen: What fell due to the owner.
        outstanding_fen: What had fallen due to the owner by the period's end and was not paid.
    """

    rent_fen: int
    billed_fen: int
    outstanding_fen: int


@dataclass(frozen=True, slots=True)
class Core:
    """A core deposit that ended; `days` from the deposit on."""

    is_returned: bool
    days: int


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the measures are computed from.

    Attributes:
        in_shop: Stays in the shop, on a lease or not.
        on_lease: Leases of the owner's.
        return_to_relist_days, relist_to_redeploy_days, listed_to_sold_days: Of each step.
        hours_run: Of the fleet, while it was the owner's; so are failures and downtime.
    """

    owned: Sequence[Owned]
    in_shop: Sequence[Stay]
    on_lease: Sequence[Stay]
    money: Money
    return_to_relist_days: Sequence[int]
    relist_to_redeploy_days: Sequence[int]
    listed_to_sold_days: Sequence[int]
    hours_run: Decimal
    downtime_hours: Sequence[Decimal]
    cores: Sequence[Core]


@dataclass(frozen=True, slots=True)
class Turnover:
    """The measures; None where nothing says anything of one."""

    period: Period
    machine_count: int
    owned_days: int
    available_days: int
    on_rent_days: int
    time_utilisation: Decimal | None
    rent_fen: int
    equipment_cost_fen: int
    dollar_utilisation: Decimal | None
    return_to_relist: Decimal | None
    relist_to_redeploy: Decimal | None
    listed_to_sold: Decimal | None
    hours_run: Decimal
    downtime_hours: Decimal
    mtbf_hours: Decimal | None
    mttr_hours: Decimal | None
    availability: Decimal | None
    outstanding_fen: int
    days_sales_outstanding: Decimal | None
    core_return_rate: Decimal | None
    core_cycle_days: Decimal | None
    facts: Facts


def measure(facts: Facts, period: Period) -> Turnover:
    """Return the turnover of a fleet over a period of at least a day."""
    owned_days = sum(_days(one.stay, period) for one in facts.owned)
    idle_in_shop = sum(
        _days(stay, period)
        - sum(_shared(stay, lease, period) for lease in facts.on_lease if _same(stay, lease))
        for stay in facts.in_shop
    )
    on_rent = sum(_days(lease, period) for lease in facts.on_lease)
    available = max(0, owned_days - idle_in_shop)
    cost_fen = round_half_up(
        sum(
            (Decimal(one.cost_fen) * _days(one.stay, period) for one in facts.owned),
            Decimal(0),
        )
        / period.days
    )
    failures, down = len(facts.downtime_hours), sum(facts.downtime_hours, Decimal(0))
    returned = [core.days for core in facts.cores if core.is_returned]
    money = facts.money
    return Turnover(
        period=period,
        machine_count=len({one.stay.machine for one in facts.owned if _days(one.stay, period)}),
        owned_days=owned_days,
        available_days=available,
        on_rent_days=on_rent,
        time_utilisation=_share(min(on_rent, available), available),
        rent_fen=money.rent_fen,
        equipment_cost_fen=cost_fen,
        dollar_utilisation=_share(money.rent_fen * DAYS_A_YEAR, cost_fen * period.days),
        return_to_relist=_mean(facts.return_to_relist_days),
        relist_to_redeploy=_mean(facts.relist_to_redeploy_days),
        listed_to_sold=_mean(facts.listed_to_sold_days),
        hours_run=ratio(facts.hours_run, 1, places=HOUR_PLACES),
        downtime_hours=ratio(down, 1, places=HOUR_PLACES),
        mtbf_hours=ratio(facts.hours_run, failures, places=HOUR_PLACES) if failures else None,
        mttr_hours=ratio(down, failures, places=HOUR_PLACES) if failures else None,
        availability=_share(facts.hours_run, facts.hours_run + down),
        outstanding_fen=money.outstanding_fen,
        days_sales_outstanding=ratio(
            money.outstanding_fen * period.days, money.billed_fen, places=DAY_PLACES
        )
        if money.billed_fen
        else None,
        core_return_rate=_share(len(returned), len(facts.cores)),
        core_cycle_days=_mean(returned),
        facts=facts,
    )


def _days(stay: Stay, period: Period) -> int:
    """Return a stay's days within a period."""
    end = period.end if stay.end is None else min(stay.end, period.end)
    return max(0, (end - max(stay.start, period.start)).days)


def _shared(stay: Stay, other: Stay, period: Period) -> int:
    """Return the days of a period that two stays of a machine share."""
    start = max(stay.start, other.start)
    ends = [end for end in (stay.end, other.end) if end is not None]
    return _days(Stay(stay.machine, start, min(ends, default=None)), period)


def _same(stay: Stay, other: Stay) -> bool:
    return stay.machine == other.machine


def _share(part: Decimal | int, whole: Decimal | int) -> Decimal | None:
    return ratio(part, whole, places=SHARE_PLACES) if whole else None


def _mean(days: Sequence[int]) -> Decimal | None:
    return ratio(sum(days), len(days), places=DAY_PLACES) if days else None
