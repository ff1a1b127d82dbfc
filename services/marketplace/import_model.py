"""What an import states, row by row, and what became of each row."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from services.kit.errors import DomainError, InvalidArgument
from services.marketplace.identity import Identity
from services.marketplace.listing_model import Content
from services.marketplace.machine_model import Facts

NumberKey = tuple[str, ...]  # ("pin", PIN) or ("serial", MAKE, SERIAL)


class Outcome(StrEnum):
    """What happened to a row."""

    CREATED = "CREATED"
    UNCHANGED = "UNCHANGED"
    CHANGED = "CHANGED"
    REFUSED = "REFUSED"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One thing that is wrong with a row."""

    field: str
    reason: str
    description: str


@dataclass(frozen=True, slots=True)
class MachineStated:
    """A machine as a row states it."""

    identity: Identity
    facts: Facts

    @property
    def keys(self) -> list[NumberKey]:
        """The numbers under which it is known."""
        return number_keys(self.identity, self.facts.make)


@dataclass(frozen=True, slots=True)
class ListingStated:
    """A listing as a row states it; its machine by name or by number.

    Attributes:
        machine: "machines/<uuid>", or "" where `machine_key` names it.
        submit: Whether the draft shall be submitted.
    """

    reference: str
    machine: str
    machine_key: NumberKey
    content: Content
    submit: bool


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a row.

    Attributes:
        name: The machine or listing; "" for a refused row.
    """

    outcome: Outcome
    name: str = ""
    refusals: tuple[Refusal, ...] = ()


def number_keys(identity: Identity, make: str) -> list[NumberKey]:
    """Return the keys under which a machine's numbers are compared, the PIN first."""
    keys: list[NumberKey] = []
    if identity.pin:
        keys.append(("pin", identity.pin))
    if identity.serial_number:
        keys.append(("serial", make.upper(), identity.serial_number.upper()))
    return keys


def refused(error: DomainError, *, fields: dict[str, str] | None = None) -> Report:
    """Return the report of a row that `error` refuses; `fields` renames fields to the row's."""
    names = fields or {}
    if isinstance(error, InvalidArgument):
        refusals = tuple(
            Refusal(names.get(field, field), error.reason, description)
            for field, description in error.violations
        )
    else:
        refusals = (Refusal("", error.reason, error.message),)
    return Report(Outcome.REFUSED, refusals=refusals)


def counted(reports: Iterable[Report]) -> Iterator[tuple[str, int]]:
    """Return how many rows had each outcome, as ("created", 3) and so on."""
    counts = Counter(report.outcome for report in reports)
    for outcome in Outcome:
        yield outcome.value.lower(), counts[outcome]
