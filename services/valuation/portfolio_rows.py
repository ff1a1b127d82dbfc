"""A portfolio's rows by column, as given and as far as they can be valued."""

import math
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml.residual_value.features import fractional_year

YEAR_UNKNOWN = (0, 1000)  # what data write where nobody knew

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(slots=True)
class Rows:
    """A portfolio's columns; NaN, 0 and "" are unknown, and a count of −1."""

    reference: list[str]
    make: list[str]
    model: list[str]
    equipment_class: list[str]
    build_year: list[int]
    hours_meter: list[float]
    replacement_cost_fen: list[int]
    condition: list[str]
    maintenance_compliance: list[float]
    open_stop_faults: list[int]

    def __len__(self) -> int:
        return len(self.equipment_class)


@dataclass(frozen=True, slots=True)
class Kept:
    """The columns of the rows that can be valued.

    Attributes:
        age, age_shown: Years, NaN where unknown; the latter with two decimals.
        meter, hours: What the meter shows, and as far as that says something.
    """

    age: Floats
    age_shown: Floats
    meter: Floats
    hours: Floats
    cost: Floats
    condition: list[str]
    compliance: Floats
    faults: Integers

    @classmethod
    def of(cls, rows: Rows, good: Flags, as_of: date) -> "Kept":
        """Return the columns of the good rows as of a date."""
        years = np.array(rows.build_year)[good]
        age: Floats = np.where(
            np.isin(years, YEAR_UNKNOWN), np.nan, np.maximum(0.0, fractional_year(as_of) - years)
        )
        shown: Floats = np.round(age, 2)
        meter = np.array(rows.hours_meter, dtype=np.float64)[good]
        hours = np.where(meter == 0, np.where(shown <= 1, 1.0, np.nan), meter)
        return cls(
            age,
            shown,
            meter,
            hours,
            np.array(rows.replacement_cost_fen, dtype=np.float64)[good],
            [one for one, ok in zip(rows.condition, good.tolist(), strict=True) if ok],
            np.array(rows.maintenance_compliance, dtype=np.float64)[good],
            np.array(rows.open_stop_faults, dtype=np.int64)[good],
        )


def rows_of(columns: dict[str, Any]) -> Rows:
    """Return columns as rows' facts, those that are absent unknown in every row.

    Args:
        columns: Lists by name, null where unknown; `equipment_class` must be there.
    """
    count = len(columns["equipment_class"])

    def column(name: str, absent: Any) -> list[Any]:
        given = columns.get(name)
        if given is None:
            return [absent] * count
        return [absent if one is None else one for one in given]

    nan = math.nan
    return Rows(
        reference=column("reference", ""),
        make=column("make", ""),
        model=column("model", ""),
        equipment_class=column("equipment_class", ""),
        build_year=column("build_year", 0),
        hours_meter=column("hours_meter", nan),
        replacement_cost_fen=column("replacement_cost_fen", 0),
        condition=column("condition", ""),
        maintenance_compliance=column("maintenance_compliance", nan),
        open_stop_faults=column("open_stop_faults", -1),
    )
