"""Parts of a component under remanufacture: what becomes of each, and what took its place."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from services.remanufacturing.errors import (
    BaseScrapped,
    PartMissing,
    PartsUndecided,
    PartUnknown,
    SubstituteNotAllowed,
)
from services.remanufacturing.family_model import FamilyContent


class Disposition(StrEnum):
    """What becomes of a part."""

    REUSE = "REUSE"
    REWORK = "REWORK"
    REPLACE = "REPLACE"
    SCRAP = "SCRAP"


KEPT = frozenset({Disposition.REUSE, Disposition.REWORK})


@dataclass(frozen=True, slots=True)
class OrderPart:
    """A part of the component of an order; `cost_fen` sums what was spent on it."""

    position: str
    title: str
    part_number: str
    is_base: bool
    mass_kg: Decimal
    is_missing: bool = False
    disposition: Disposition | None = None
    reason: str = ""
    operation: str = ""
    installed_part_number: str = ""
    installed_serial_number: str = ""
    cost_fen: int = 0

    @property
    def is_substituted(self) -> bool:
        """Whether another part number than its own took its place."""
        return self.installed_part_number not in ("", self.part_number)


@dataclass(frozen=True, slots=True)
class PartDecision:
    """What becomes of one part, and why."""

    position: str
    disposition: Disposition
    reason: str


@dataclass(frozen=True, slots=True)
class PartWork:
    """What was done to one part, or what took its place."""

    position: str
    operation: str
    installed_part_number: str
    installed_serial_number: str
    cost_fen: int


def parts_of(content: FamilyContent) -> tuple[OrderPart, ...]:
    """Return the parts of a component of a family, nothing decided yet."""
    return tuple(
        OrderPart(
            position=part.position,
            title=part.title,
            part_number=part.part_number,
            is_base=part.is_base,
            mass_kg=part.mass_kg,
        )
        for part in content.parts
    )


def taken_apart(parts: Sequence[OrderPart], missing: Sequence[str]) -> tuple[OrderPart, ...]:
    """Return the parts with those marked that were not there.

    Raises:
        PartUnknown: The component has no part in one of the positions.
    """
    _require_known(parts, missing, field="missing_positions")
    return tuple(replace(part, is_missing=part.position in missing) for part in parts)


def decided(parts: Sequence[OrderPart], decisions: Sequence[PartDecision]) -> tuple[OrderPart, ...]:
    """Return the parts with what becomes of each.

    Raises:
        PartUnknown, PartsUndecided: A position is not there, left out or named twice.
        PartMissing: A missing part is to be used again.
    """
    positions = [decision.position for decision in decisions]
    _require_known(parts, positions, field="decisions")
    _require_each_once(positions, [part.position for part in parts], field="decisions")
    by_position = {decision.position: decision for decision in decisions}
    for part in parts:
        if part.is_missing and by_position[part.position].disposition in KEPT:
            raise PartMissing(part.position)
    return tuple(
        replace(
            part,
            disposition=by_position[part.position].disposition,
            reason=by_position[part.position].reason,
            operation="",
            installed_part_number="",
            installed_serial_number="",
        )
        for part in parts
    )


def reworked(
    parts: Sequence[OrderPart],
    works: Sequence[PartWork],
    content: FamilyContent,
    *,
    subject: str,
) -> tuple[OrderPart, ...]:
    """Return the parts with what was done to them, or took their place.

    Args:
        subject: The order, for the refusal where its base is not kept.

    Raises:
        PartUnknown, PartsUndecided: Another part than those to be worked on is named, or one of
            them is left out or named twice.
        SubstituteNotAllowed: A part number may not take a part's place.
        BaseScrapped: The base part is not kept.
    """
    for part in parts:
        if part.is_base and part.disposition not in KEPT:
            raise BaseScrapped(subject, part.position)
    positions = [work.position for work in works]
    _require_known(parts, positions, field="works")
    concerned = [part.position for part in parts if part.disposition is not Disposition.REUSE]
    _require_each_once(positions, concerned, field="works")
    by_position = {work.position: work for work in works}
    return tuple(
        _worked(part, by_position[part.position], content) if part.position in by_position else part
        for part in parts
    )


def _worked(part: OrderPart, work: PartWork, content: FamilyContent) -> OrderPart:
    cost_fen = part.cost_fen + work.cost_fen
    if part.disposition is Disposition.REWORK:
        return replace(part, operation=work.operation, cost_fen=cost_fen)
    installed = work.installed_part_number or part.part_number
    allowed = content.part(part.position).allowed_part_numbers
    if installed not in allowed:
        raise SubstituteNotAllowed(installed, position=part.position, allowed=allowed)
    return replace(
        part,
        installed_part_number=installed,
        installed_serial_number=work.installed_serial_number,
        cost_fen=cost_fen,
    )


def counted(parts: Sequence[OrderPart]) -> Mapping[str, int]:
    """Return how many parts of an order have which disposition."""
    return Counter(part.disposition.value for part in parts if part.disposition)


def _require_known(parts: Sequence[OrderPart], positions: Sequence[str], *, field: str) -> None:
    known = {part.position for part in parts}
    strange = sorted(set(positions) - known)
    if strange:
        raise PartUnknown(field, strange)


def _require_each_once(named: Sequence[str], expected: Sequence[str], *, field: str) -> None:
    if Counter(named) != Counter(expected):
        raise PartsUndecided(field, expected=expected)
