"""Faults: J1939 and OEM codes, lamps, severity, and when two reports are of one fault. Pure."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from services.kit.ids import name

SPN_MAX = 2**19 - 1
FMI_MAX = 31
SOURCE_ADDRESS_MAX = 253  # 254 is "none yet", 255 is everybody (SAE J1939-81)
OEM_CODE_MAX = 100
DESCRIPTION_MAX = 500
COUNT_MAX = 2**31 - 1


class FaultState(StrEnum):
    """Where a fault stands."""

    ACTIVE = "ACTIVE"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    WORK_ORDERED = "WORK_ORDERED"
    CLEARED = "CLEARED"


class Severity(StrEnum):
    """How grave a fault is."""

    INFO = "INFO"
    WARN = "WARN"
    STOP = "STOP"

    @property
    def rank(self) -> int:
        """Rises with gravity."""
        return _RANKS[self]


_RANKS = {Severity.INFO: 0, Severity.WARN: 1, Severity.STOP: 2}


class Lamp(StrEnum):
    """A lamp of SAE J1939-73."""

    MALFUNCTION = "MALFUNCTION"
    RED_STOP = "RED_STOP"
    AMBER_WARNING = "AMBER_WARNING"
    PROTECT = "PROTECT"


# Words of senders; numbers are those of J1939-71 severity, 1 the least.
_WORDS = {
    Severity.STOP: ("stop", "red", "critical", "severe", "emergency", "high", "3", "fatal"),
    Severity.WARN: ("warn", "warning", "amber", "yellow", "caution", "moderate", "protect", "2"),
    Severity.INFO: ("info", "information", "informational", "low", "minor", "notice", "1", "none"),
}
_BY_WORD = {word: severity for severity, words in _WORDS.items() for word in words}

_NAMED = re.compile(
    r"SPN\s*[:=#]?\s*(?P<spn>\d{1,6})\D+FMI\s*[:=#]?\s*(?P<fmi>\d{1,2})"
    r"(?:\D+SA\s*[:=#]?\s*(?P<sa>\d{1,3}))?\D*",
    re.IGNORECASE,
)
_PAIR = re.compile(r"(?P<spn>\d{1,6})\s*[-./:]\s*(?P<fmi>\d{1,2})(?:\s*[-./:]\s*(?P<sa>\d{1,3}))?")
_ADDRESS = re.compile(r"SA\s*[:=#]?\s*(\d{1,3})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FaultCode:
    """What a controller reports: a J1939 code, or the manufacturer's own.

    Attributes:
        source_address: The controller; None where unknown.
    """

    spn: int | None = None
    fmi: int | None = None
    source_address: int | None = None
    oem_code: str = ""

    @property
    def key(self) -> str:
        """What counts as the same fault of a machine."""
        if self.spn is None:
            return f"oem/{self.oem_code}"
        address = "" if self.source_address is None else self.source_address
        return f"{self.spn}/{self.fmi}/{address}"


@dataclass(frozen=True, slots=True)
class FaultReport:
    """What a machine says of a fault at an instant.

    Attributes:
        occurrences: The controller's own count; 0 where it gives none.
        is_gone: Whether it says that the fault is gone.
    """

    machine_id: UUID
    code: FaultCode
    severity: Severity
    at: datetime
    lamps: tuple[Lamp, ...] = ()
    occurrences: int = 0
    description: str = ""
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class ControllerReport:
    """Every active fault of one controller at an instant: one that it leaves out is gone."""

    machine_id: UUID
    source_address: int
    at: datetime
    reports: tuple[FaultReport, ...]

    def leaves_out(self, fault: "Fault") -> bool:
        """Whether an open fault of this controller is none any more."""
        return (
            fault.machine_id == self.machine_id
            and fault.code.spn is not None
            and fault.code.source_address == self.source_address
            and fault.code not in {report.code for report in self.reports}
        )


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a machine."""

    id: UUID
    version: int
    event_sequence: int
    state: FaultState
    machine_id: UUID
    code: FaultCode
    severity: Severity
    lamps: tuple[Lamp, ...]
    count: int
    description: str
    raise_time: datetime
    last_report_time: datetime
    clear_time: datetime | None
    cleared_by: str
    acknowledged_by: str
    work_order: str
    create_time: datetime
    update_time: datetime

    @property
    def name(self) -> str:
        """Its resource name, "faults/…"."""
        return name("faults", self.id)

    @property
    def is_open(self) -> bool:
        """Whether it is not cleared."""
        return self.state is not FaultState.CLEARED

    @property
    def stops(self) -> bool:
        """Whether it is open and the machine must stop for it."""
        return self.is_open and self.severity is Severity.STOP


def code_of(identifier: str, source: str | None) -> FaultCode:
    """Return the code of a fleet page's CodeIdentifier.

    It is J1939 where it names SPN and FMI ("SPN 100 FMI 1 SA 0"), or is a pair of numbers ("100-1")
    from a source that says J1939; else it is the manufacturer's own.
    """
    match = _NAMED.fullmatch(identifier.strip())
    is_j1939 = "J1939" in (source or "").upper()
    if match is None and is_j1939:
        match = _PAIR.fullmatch(identifier.strip())
    if match is None:
        return FaultCode(oem_code=identifier[:OEM_CODE_MAX])
    spn, fmi = int(match["spn"]), int(match["fmi"])
    stated = match["sa"] or (found[1] if (found := _ADDRESS.search(source or "")) else None)
    address = None if stated is None or int(stated) > SOURCE_ADDRESS_MAX else int(stated)
    if spn > SPN_MAX or fmi > FMI_MAX:
        return FaultCode(oem_code=identifier[:OEM_CODE_MAX])
    return FaultCode(spn, fmi, address)


def severity_of(word: str | None, lamps: Collection[Lamp] = ()) -> Severity:
    """Return how grave a fault is: by its lamps, else by the sender's word, else WARN."""
    if Lamp.RED_STOP in lamps:
        return Severity.STOP
    if lamps:
        amber = Lamp.AMBER_WARNING in lamps or Lamp.PROTECT in lamps
        return Severity.WARN if amber else Severity.INFO
    cleaned = re.sub(r"[^a-z0-9]+", " ", (word or "").lower()).split()
    known = [_BY_WORD[one] for one in cleaned if one in _BY_WORD]
    return max(known, key=lambda severity: severity.rank, default=Severity.WARN)
