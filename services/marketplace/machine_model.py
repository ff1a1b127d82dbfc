"""Machines: identity and facts, title, custody, reservations and liens."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum
from uuid import UUID

from services.kit.ids import name
from services.kit.principals import Principal
from services.marketplace.errors import BuildYearAhead, HoursBelowLast, HoursOutOfRange
from services.marketplace.identity import CheckStatus, Identity, IdScheme

HOURS_MAX = Decimal(200_000)  # no machine runs longer: 22 years day and night
HOURS_STEP = Decimal("0.01")
BUILD_YEARS_AHEAD_MAX = 1  # next year's machines are built this year
PURCHASE_MONEY_WITHIN = timedelta(days=10)  # Civil Code 416: registered within ten days


class EquipmentClass(StrEnum):
    """What kind of machine it is."""

    HYDRAULIC_EXCAVATOR = "HYDRAULIC_EXCAVATOR"
    TRACK_TYPE_TRACTOR = "TRACK_TYPE_TRACTOR"
    BACKHOE_LOADER = "BACKHOE_LOADER"
    WHEEL_LOADER = "WHEEL_LOADER"
    SKID_STEER_LOADER = "SKID_STEER_LOADER"
    MOTOR_GRADER = "MOTOR_GRADER"
    OTHER = "OTHER"


class MachineLifecycle(StrEnum):
    """Where a machine stands in its life."""

    REGISTERED = "REGISTERED"
    IN_SERVICE = "IN_SERVICE"
    IN_REMAN = "IN_REMAN"
    SCRAPPED = "SCRAPPED"


class Custody(StrEnum):
    """How a machine is held."""

    AVAILABLE = "AVAILABLE"
    RESERVED = "RESERVED"
    ON_LEASE = "ON_LEASE"
    IN_SHOP = "IN_SHOP"
    IN_TRANSIT = "IN_TRANSIT"


class LienState(StrEnum):
    """Whether a lien still binds."""

    ACTIVE = "ACTIVE"
    RELEASED = "RELEASED"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is stated of a machine.

    Attributes:
        build_year: None where unknown.
        hours_meter: Hours, two decimals; None where unknown.
        replacement_cost_fen: Price of the same machine new; None where unknown.
    """

    make: str
    model: str
    equipment_class: EquipmentClass
    build_year: int | None
    hours_meter: Decimal | None
    replacement_cost_fen: int | None


@dataclass(frozen=True, slots=True)
class Reservation:
    """A hold on a machine; without an expiry a reserved listing's order ends it."""

    reference: str
    party: str
    expire_time: datetime | None


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of the registry.

    Attributes:
        title_since: When the present holder got the title.
        lease_reference: The lease under which it is out, also while in the shop; else None.
    """

    id: UUID
    version: int
    event_sequence: int
    identity: Identity
    facts: Facts
    hours_time: datetime | None
    title_holder: str
    title_since: datetime
    lifecycle: MachineLifecycle
    custody: Custody
    custodian: str
    reservation: Reservation | None
    lease_reference: str | None
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Return its resource name, "machines/<uuid>"."""
        return name("machines", self.id)

    def held_as(
        self,
        custody: Custody,
        *,
        custodian: str | None = None,
        reservation: Reservation | None = None,
        lease_reference: str | None = None,
    ) -> "Machine":
        """Return it in another custody; a custodian of None stays."""
        return replace(
            self,
            custody=custody,
            custodian=custodian or self.custodian,
            reservation=reservation,
            lease_reference=lease_reference,
        )

    def with_facts(self, facts: Facts, *, at: datetime) -> "Machine":
        """Return it with other facts, its hours not below the last.

        Raises:
            HoursBelowLast: They are.
        """
        if facts.hours_meter == self.facts.hours_meter:
            return replace(self, facts=facts)
        last = self.facts.hours_meter
        if facts.hours_meter is None or (last is not None and facts.hours_meter < last):
            raise HoursBelowLast(facts.hours_meter, last)
        return replace(self, facts=facts, hours_time=at)


@dataclass(frozen=True, slots=True)
class Lien:
    """A right of a creditor in a machine.

    Attributes:
        number: Its place in the order of creation, over all machines.
        super_priority: Purchase money registered in time (Civil Code 416).
        priority: Its rank among the machine's active liens, from 1; 0 once released.
    """

    id: UUID
    version: int
    number: int
    machine_id: UUID
    holder: str
    reference: str
    registry_no: str
    secured_amount_fen: int
    purchase_money: bool
    super_priority: bool
    register_time: datetime
    state: LienState
    release_time: datetime | None
    machine_sequence: int
    create_time: datetime
    update_time: datetime
    priority: int = 0

    @property
    def name(self) -> str:
        """Return its resource name, "liens/<uuid>"."""
        return name("liens", self.id)


@dataclass(frozen=True, slots=True)
class Interval:
    """One holding of a title, or one custody: from `start_time` up to `end_time`, exclusive.

    Attributes:
        holder: The title holder or the custodian.
        custody: How it was held; None in a title's history.
        end_time: None for the present one.
    """

    number: int
    holder: str
    reference: str
    start_time: datetime
    end_time: datetime | None
    custody: Custody | None = None


def has_super_priority(
    *, purchase_money: bool, register_time: datetime, title_since: datetime
) -> bool:
    """Whether a lien ranks before others: purchase money, registered at most ten days late."""
    return purchase_money and register_time <= title_since + PURCHASE_MONEY_WITHIN


def ranked(liens: Iterable[Lien]) -> list[Lien]:
    """Return active liens with their priorities, the first in rank first.

    Purchase money in time, then the registry's time, then the order of creation.
    """
    order = sorted(
        (lien for lien in liens if lien.state is LienState.ACTIVE),
        key=lambda lien: (not lien.super_priority, lien.register_time, lien.number),
    )
    return [replace(lien, priority=rank) for rank, lien in enumerate(order, start=1)]


def seen_by(
    machine: Machine, liens: Sequence[Lien], viewer: Principal
) -> tuple[Machine, list[Lien]]:
    """Return what a viewer sees of a machine that they may see, and of its ranked liens.

    Who comes by a published listing sees public facts: not who has it, for whom it is held, nor
    who lends on it. A lien holder sees its own liens.
    """
    own = [lien for lien in liens if lien.holder == viewer.party]
    reserved_for = machine.reservation.party if machine.reservation else ""
    if viewer.sees_all or viewer.party in {machine.title_holder, reserved_for}:
        return machine, list(liens)
    if own or viewer.party == machine.custodian:
        return machine, own
    return replace(machine, custodian="", reservation=None, lease_reference=None), []


def checked_hours(hours: Decimal, *, field: str) -> Decimal:
    """Return hours rounded to two decimals.

    Raises:
        HoursOutOfRange: Below 0 or above 200,000.
    """
    if not 0 <= hours <= HOURS_MAX:
        raise HoursOutOfRange(field, hours, HOURS_MAX)
    return hours.quantize(HOURS_STEP, ROUND_HALF_UP)


def check_build_year(year: int | None, *, today: date, field: str) -> None:
    """Check that a machine can have been built by now.

    Raises:
        BuildYearAhead: Its year lies after the next one.
    """
    if year is not None and year > today.year + BUILD_YEARS_AHEAD_MAX:
        raise BuildYearAhead(field, year, today.year + BUILD_YEARS_AHEAD_MAX)


def new_machine(
    machine_id: UUID, identity: Identity, facts: Facts, *, owner: str, at: datetime
) -> Machine:
    """Return a machine at its registration, owned and held by `owner`."""
    return Machine(
        id=machine_id,
        version=1,
        event_sequence=1,
        identity=identity,
        facts=facts,
        hours_time=at if facts.hours_meter is not None else None,
        title_holder=owner,
        title_since=at,
        lifecycle=MachineLifecycle.REGISTERED,
        custody=Custody.AVAILABLE,
        custodian=owner,
        reservation=None,
        lease_reference=None,
        create_time=at,
        update_time=at,
    )


def identity_of(
    *, id_scheme: str, check_status: str, pin: str | None, serial_number: str | None
) -> Identity:
    """Return an identity from what is stored of it."""
    return Identity(IdScheme(id_scheme), CheckStatus(check_status), pin, serial_number)
