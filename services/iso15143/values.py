"""Single values of a page, in every form in which they have been seen.

A value is None where its page has no part of that name.
"""

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache

from services.iso15143.errors import Unreadable
from services.iso15143.model import Part
from services.iso15143.tree import Node, Texts, parts_of

NUMBER_MAX = Decimal(10) ** 12  # above any meter; a larger number is noise
PLACES_MAX = 9  # digits after the point; coordinates have at most seven
TEXT_MAX = 500
EXTRA_TEXT_MAX = 10_000  # what nobody here reads is kept, but not without bounds
TEXTS_REMEMBERED_MAX = 1_000  # texts: a page says the same units, makes and instants over and over
MINUTES_PER_HOUR = 60

_UNKNOWN = frozenset({"", "missing"})  # Takeuchi writes "missing" where it knows no model
_UNKNOWN_YEAR = 1  # "0001-01-01", a null date of the sender's own software
# ISO 8601 duration in weeks, days, hours, minutes and seconds; years and months have no hours.
_DURATION = re.compile(
    r"P(?:(?P<weeks>\d+(?:\.\d+)?)W)?(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?"
    r"(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)
_SECONDS = {"weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
_STEP = Decimal(1).scaleb(-PLACES_MAX)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,99}")
_XML_TEXT = re.compile("[\\t\\n\\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
_TRUE, _FALSE = frozenset({"true", "1", "on"}), frozenset({"false", "0", "off"})


@lru_cache(maxsize=TEXTS_REMEMBERED_MAX)
def text(value: str | None) -> str | None:
    """Return a text, or None where it is unknown.

    Raises:
        Unreadable: It is too long, or holds a character that no XML can hold.
    """
    if value is None or value.lower() in _UNKNOWN:
        return None
    if len(value) > TEXT_MAX:
        raise Unreadable(f"has {len(value)} characters, more than {TEXT_MAX}")
    if not value.isprintable() and any(
        not (character.isprintable() or character.isspace()) for character in value
    ):
        raise Unreadable("holds a control character")
    return " ".join(value.split())


def number(value: str | None) -> Decimal | None:
    """Return a number that is not negative, or None where there is none.

    Raises:
        Unreadable: It is no number, negative, or larger than any meter.
    """
    parsed = signed_number(value)
    if parsed is not None and parsed < 0:
        raise Unreadable(f"{parsed} is negative")
    return parsed


def signed_number(value: str | None) -> Decimal | None:
    """Return a number, or None where there is none.

    Raises:
        Unreadable: It is no number, or larger in size than any meter.
    """
    if value is None:
        return None
    digits = value.replace(".", "", 1)
    if digits.isdecimal() and digits.isascii() and len(digits) <= PLACES_MAX:
        return Decimal(value)  # what nearly every page holds: nothing of it can be out of bounds
    if value.lower() in _UNKNOWN:
        return None
    try:
        parsed = Decimal(value)
    except InvalidOperation as error:
        raise Unreadable(f'"{value[:40]}" is no number') from error
    if not parsed.is_finite() or abs(parsed) > NUMBER_MAX:
        raise Unreadable(f"{value[:40]} is larger than any meter")
    return _kept(parsed)


def needed(value: Decimal | None, what: str) -> Decimal:
    """Return a number that must be there.

    Raises:
        Unreadable: It is not.
    """
    if value is None:
        raise Unreadable(f"{what} is missing")
    return value


def percent(value: str | None) -> Decimal:
    """Return a share in percent.

    Raises:
        Unreadable: It is missing, or outside 0 to 100.
    """
    share = needed(number(value), "Percent")
    if share > 100:
        raise Unreadable(f"{share} percent is more than all")
    return share


def degrees(value: str | None, *, what: str, limit: int) -> Decimal:
    """Return an angle within -limit to limit.

    Raises:
        Unreadable: It is missing, or outside.
    """
    angle = needed(signed_number(value), what)
    if abs(angle) > limit:
        raise Unreadable(f"{what} {angle} is outside -{limit} to {limit}")
    return angle


def hours(texts: Texts, *, in_minutes: bool) -> Decimal:
    """Return a total of hours: decimal, an ISO 8601 duration, or minutes.

    Args:
        texts: The texts of its element's parts.
        in_minutes: Whether the page gives this element in minutes under the name Hour.

    Raises:
        Unreadable: It is none of them, or negative.
    """
    minutes = texts.get("minute", texts.get("minutes"))
    if minutes is not None:
        return _kept(needed(number(minutes), "Minutes") / MINUTES_PER_HOUR)
    stated = texts.get("hour", texts.get("hours"))
    if stated is not None and stated.upper().startswith("P"):
        return _duration(stated.upper())
    total = needed(number(stated), "Hour")
    return _kept(total / MINUTES_PER_HOUR) if in_minutes else total


def truth(value: str | None, *, what: str) -> bool:
    """Return a yes or no.

    Raises:
        Unreadable: It is neither.
    """
    stated = (value or "").lower()
    if stated in _TRUE:
        return True
    if stated in _FALSE:
        return False
    raise Unreadable(f'{what} "{stated[:40]}" is neither true nor false')


@lru_cache(maxsize=TEXTS_REMEMBERED_MAX)
def instant(value: str | None) -> datetime | None:
    """Return an instant, or None where it is unknown; one without a zone is UTC.

    Raises:
        Unreadable: It is no instant.
    """
    if value is None or value.lower() in _UNKNOWN:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise Unreadable(f'"{value[:40]}" is no instant of ISO 8601') from error
    if moment.year == _UNKNOWN_YEAR:
        return None
    if moment.tzinfo is UTC:
        return moment
    try:
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except OverflowError as error:
        raise Unreadable(f'"{value[:40]}" lies outside the calendar') from error


def extras(node: Node, *, but: Collection[str] = ()) -> tuple[Part, ...]:
    """Return the parts of a node as they came, by name.

    Args:
        but: The names of parts that are known, and read.

    Raises:
        Unreadable: As `extra` says.
    """
    return by_name(extra(*part) for part in parts_of(node, but=but))


def extra(name: str, text: str, node: Node | None) -> Part:
    """Return a part that the standard does not know, as it came; its own parts by name.

    Args:
        node: What its own parts are in; an attribute has none.

    Raises:
        Unreadable: XML cannot hold its name or text, or it is too long.
    """
    if not _NAME.fullmatch(name):
        raise Unreadable(f'"{name[:40]}" is no name of XML')
    if len(text) > EXTRA_TEXT_MAX:
        raise Unreadable(f"has {len(text)} characters, more than {EXTRA_TEXT_MAX:,}")
    if not _XML_TEXT.fullmatch(text):
        raise Unreadable("holds a control character")
    return Part(name, text, () if node is None else extras(node))


def by_name(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Return parts in the order of their names; those of one name as they came."""
    return tuple(sorted(parts, key=lambda part: part.name))


def _duration(value: str) -> Decimal:
    match = _DURATION.fullmatch(value)
    parts = {name: part for name, part in match.groupdict().items() if part} if match else {}
    if not parts:
        raise Unreadable(f'"{value[:40]}" is no duration in days, hours, minutes and seconds')
    seconds = sum((Decimal(part) * _SECONDS[name] for name, part in parts.items()), Decimal(0))
    if seconds > NUMBER_MAX:
        raise Unreadable(f"{value[:40]} is larger than any meter")
    return _kept(seconds / _SECONDS["hours"])


def _kept(value: Decimal) -> Decimal:
    """Return a number with at most nine digits after the point."""
    exponent = value.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -PLACES_MAX:
        return value.quantize(_STEP, ROUND_HALF_UP).normalize() + 0
    return value
