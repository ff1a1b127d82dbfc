"""Values of the model as jsonb keeps them: numbers with a point as text, so none is rounded."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


def plain(value: Any) -> Any:
    """Return a value of dataclasses' `asdict` as JSON can hold it."""
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, StrEnum):
        return value.value
    return value.isoformat() if isinstance(value, datetime | date) else value


def number_or_none(stored: str | None) -> Decimal | None:
    """Return a stored number, where there is one."""
    return None if stored is None else Decimal(stored)
