"""Documents, losses and inspections as a lease keeps them: written once, read whole with it."""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Document:
    """A document kept elsewhere, pinned by its SHA-256."""

    uri: str
    sha256: str
    media_type: str


@dataclass(frozen=True, slots=True)
class TotalLoss:
    """A machine that was lost under a lease.

    Attributes:
        insurer: The party that pays the stipulated loss value.
        paid_fen: What it paid; 0 before.
        paid_at: When it paid; None before.
    """

    lost_on: date
    insurer: str
    description: str
    evidence: tuple[Document, ...]
    reporter: str
    reported_at: datetime
    paid_fen: int
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class DamageLine:
    """One finding; the charge is 0 within fair wear."""

    part: str
    description: str
    fair_wear: bool
    charge_fen: int
    evidence: tuple[Document, ...]


@dataclass(frozen=True, slots=True)
class TermUse:
    """Use over a lease's term by accepted readings.

    Attributes:
        first, last: Hours at the start and at the end; None where no reading was accepted.
        last_on: The day of the last reading.
    """

    first: Decimal | None
    last: Decimal | None
    last_on: date | None
    allowed: Decimal
    excess: Decimal
    charge_fen: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the inspection of a returned machine found and charged.

    Attributes:
        charged_fen: What of the charges was kept from the deposit.
        refund_fen: What of the deposit went back to the lessee.
        held_fen: What of it stays until the lease is closed, for what is owed on instalments.
        claim: The claim on the rest of the charges, "" where there is none.
    """

    inspected_on: date
    inspector: str
    lines: tuple[DamageLine, ...]
    evidence: tuple[Document, ...]
    use: TermUse
    charged_fen: int
    refund_fen: int
    held_fen: int
    claim: str

    @property
    def damage_fen(self) -> int:
        """The charges of the lines together."""
        return sum(line.charge_fen for line in self.lines)

    @property
    def charges_fen(self) -> int:
        """All charges."""
        return self.use.charge_fen + self.damage_fen


def to_json(paper: TotalLoss | Inspection | None) -> dict[str, Any] | None:
    """Return a paper as plain JSON."""
    return None if paper is None else _plain(asdict(paper))


def loss_of(kept: dict[str, Any] | None) -> TotalLoss | None:
    """Return a loss from its JSON."""
    if kept is None:
        return None
    paid_at = kept["paid_at"]
    return TotalLoss(
        **kept
        | {
            "lost_on": date.fromisoformat(kept["lost_on"]),
            "evidence": _documents(kept["evidence"]),
            "reported_at": datetime.fromisoformat(kept["reported_at"]),
            "paid_at": None if paid_at is None else datetime.fromisoformat(paid_at),
        }
    )


def inspection_of(kept: dict[str, Any] | None) -> Inspection | None:
    """Return an inspection from its JSON."""
    if kept is None:
        return None
    lines = [
        DamageLine(**line | {"evidence": _documents(line["evidence"])}) for line in kept["lines"]
    ]
    return Inspection(
        **kept
        | {
            "inspected_on": date.fromisoformat(kept["inspected_on"]),
            "lines": tuple(lines),
            "evidence": _documents(kept["evidence"]),
            "use": _use(kept["use"]),
        }
    )


def _use(kept: dict[str, Any]) -> TermUse:
    last_on = kept["last_on"]
    return TermUse(
        first=_hours(kept["first"]),
        last=_hours(kept["last"]),
        last_on=None if last_on is None else date.fromisoformat(last_on),
        allowed=Decimal(kept["allowed"]),
        excess=Decimal(kept["excess"]),
        charge_fen=kept["charge_fen"],
    )


def _hours(kept: str | None) -> Decimal | None:
    return None if kept is None else Decimal(kept)


def _documents(kept: list[dict[str, str]]) -> tuple[Document, ...]:
    return tuple(Document(**document) for document in kept)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, date | datetime):
        return value.isoformat()
    return str(value) if isinstance(value, Decimal) else value
