"""Sales that serve as labels, and the alarm of a product group."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class Sale:
    """A machine's sale as its order tells it.

    Attributes:
        hours_meter: At the time of the sale; None: not known.
    """

    order: str
    machine: str
    seller: str
    sold_on: date
    price_fen: int
    hours_meter: Decimal | None


@dataclass(frozen=True, slots=True)
class Label:
    """A sale with its machine's facts and what the model said of it.

    Attributes:
        specification: As a record keeps it.
        log_error: ln(predicted ÷ paid) of the FMV median.
        features: The watched features by name.
    """

    sale: Sale
    specification: Mapping[str, Any]
    product_group: str
    model: str
    fmv_fen: tuple[int, ...]
    log_error: float
    features: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Segment:
    """The alarm of a product group.

    Attributes:
        findings: What raised it, in sentences.
        update_time: When it last changed.
    """

    segment: str
    level: int
    event_sequence: int
    findings: tuple[str, ...]
    update_time: datetime
