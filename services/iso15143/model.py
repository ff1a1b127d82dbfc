"""What a fleet page says, whatever dialect it was written in.

Instants are aware, UTC. Numbers are exact. What a page leaves out, or marks as unknown in one of
the ways that have been seen, is None. What the standard does not know is kept in `extras`.
Readings are tuples, for a page holds a thousand.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

# Develon's variant of a page, known by its address, gives idle time in minutes.
MINUTES_PATH = "/minutes"


@dataclass(frozen=True, slots=True)
class Part:
    """An element or attribute that the standard does not know, kept as it came.

    Attributes:
        name: Its name without namespace, in its own case.
        parts: What stands in it, attributes among them, by name.
    """

    name: str
    text: str
    parts: tuple["Part", ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another page, for example rel "next"."""

    rel: str
    href: str


@dataclass(frozen=True, slots=True)
class Header:
    """Which machine a row is about.

    Attributes:
        equipment_id: The sender's own id; the serial number or PIN where it gives none.
        pin: None where it only repeats a serial number that is no PIN by its form.
    """

    equipment_id: str
    oem_name: str | None = None
    model: str | None = None
    serial_number: str | None = None
    pin: str | None = None
    unit_install_time: datetime | None = None
    extras: tuple[Part, ...] = ()


class Location(NamedTuple):
    """Where a machine stood: degrees, and metres above the sea."""

    latitude: Decimal
    longitude: Decimal
    altitude: Decimal | None
    read_at: datetime | None
    extras: tuple[Part, ...] = ()


class Hours(NamedTuple):
    """A running total of hours."""

    hours: Decimal
    read_at: datetime | None
    extras: tuple[Part, ...] = ()


class Quantity(NamedTuple):
    """An amount in units of its own, for example 1560 "litre"."""

    amount: Decimal
    units: str
    read_at: datetime | None
    extras: tuple[Part, ...] = ()


class Level(NamedTuple):
    """How full a tank is, in percent; a capacity of None is unknown."""

    percent: Decimal
    capacity: Decimal | None
    units: str
    read_at: datetime | None
    extras: tuple[Part, ...] = ()


class Engine(NamedTuple):
    """Whether an engine runs."""

    number: str | None
    is_running: bool
    read_at: datetime | None
    extras: tuple[Part, ...] = ()


class Count(NamedTuple):
    """A running count."""

    total: int
    read_at: datetime | None
    extras: tuple[Part, ...] = ()


class Share(NamedTuple):
    """A share in percent."""

    percent: Decimal
    read_at: datetime | None
    extras: tuple[Part, ...] = ()


class Switch(NamedTuple):
    """A digital input and its value as sent."""

    number: str
    value: str
    read_at: datetime | None
    extras: tuple[Part, ...] = ()


class Fault(NamedTuple):
    """A fault or caution code as sent."""

    identifier: str
    description: str | None
    severity: str | None
    source: str | None
    read_at: datetime | None
    extras: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Equipment:
    """One machine's snapshot."""

    header: Header
    location: Location | None = None
    operating_hours: Hours | None = None
    idle_hours: Hours | None = None
    idle_non_operating_hours: Hours | None = None
    power_take_off_hours: Hours | None = None
    regeneration_hours: Hours | None = None
    fuel_used: Quantity | None = None
    fuel_used_last_24: Quantity | None = None
    fuel_remaining: Level | None = None
    def_remaining: Level | None = None
    distance: Quantity | None = None
    engine: Engine | None = None
    load_count: Count | None = None
    payload_total: Quantity | None = None
    load_factor_last_24: Share | None = None
    maximum_speed_last_24: Quantity | None = None
    switches: tuple[Switch, ...] = ()
    faults: tuple[Fault, ...] = ()
    extras: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Fleet:
    """A page of a fleet."""

    equipment: tuple[Equipment, ...]
    links: tuple[Link, ...] = ()
    version: str | None = None
    snapshot_time: datetime | None = None
    extras: tuple[Part, ...] = ()

    @property
    def next_href(self) -> str | None:
        """Where the next page is; None at the end, which some mark by a link to the same page."""
        hrefs = {link.rel.lower(): link.href for link in self.links}
        following = hrefs.get("next")
        return None if following == hrefs.get("self") else following

    @property
    def has_idle_in_minutes(self) -> bool:
        """Whether the page's own address says that it gives idle time in minutes."""
        return any(
            link.rel.lower() == "self" and MINUTES_PATH in link.href.lower() for link in self.links
        )


Reading = Location | Hours | Quantity | Level | Engine | Count | Share | Switch | Fault


@dataclass(frozen=True, slots=True)
class Series:
    """A page of the readings of one element of one machine, in time.

    Attributes:
        element: Its name in a snapshot, for example "CumulativeOperatingHours".
        header: The machine, where the page names it.
    """

    element: str
    readings: tuple[Reading, ...]
    header: Header | None = None
    links: tuple[Link, ...] = ()
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A part of a page that was left out.

    Attributes:
        machine: The machine's equipment id, or its place on the page, for example "#3"; "" where
            the page itself is meant.
        element: The element, for example "CumulativeOperatingHours".
    """

    machine: str
    element: str
    reason: str


@dataclass(frozen=True, slots=True)
class Page:
    """What could be read of a page, and what could not."""

    fleet: Fleet
    problems: tuple[Problem, ...]
