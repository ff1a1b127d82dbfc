"""From a machine's facts to the booster's features: one function for training and for serving."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from ml.residual_value.encodings import Encodings

UNKNOWN = math.nan
HOURS_MAX = 40_000.0  # above it the meter says nothing more; 99 of 100 auctions lie below 26,000
DAYS_PER_YEAR = 365.25

PRODUCT_GROUPS = ("BL", "MG", "SSL", "TEX", "TTT", "WL")

# What the auctions say of a machine's equipment; each becomes a categorical feature.
OPTIONS = (
    "Blade_Type",
    "Blade_Width",
    "Coupler",
    "Coupler_System",
    "Differential_Type",
    "Drive_System",
    "Enclosure",
    "Forks",
    "Grouser_Type",
    "Hydraulics",
    "Hydraulics_Flow",
    "Pad_Type",
    "Pattern_Changer",
    "Pushblock",
    "Ride_Control",
    "Ripper",
    "Scarifier",
    "Stick",
    "Stick_Length",
    "Thumb",
    "Tip_Control",
    "Tire_Size",
    "Track_Type",
    "Transmission",
    "Travel_Controls",
    "Turbocharged",
    "Undercarriage_Pad_Width",
)
# The parts of a variant, by their place in `MachineFacts.variant`.
VARIANT_PARTS = ("fiSecondaryDesc", "fiModelSeries", "fiModelDescriptor")

NUMBERS = ("age_years", "hours_meter", "class_level", "variant_level", "model_level", "size")
CATEGORICAL = ("product_group", *VARIANT_PARTS, *OPTIONS)
FEATURES = (*NUMBERS, *CATEGORICAL)

# Direction in which the price may move with a feature: it falls with age and hours, and rises
# with the price levels of class, variant and model.
MONOTONE = {
    "age_years": -1,
    "hours_meter": -1,
    "class_level": 1,
    "variant_level": 1,
    "model_level": 1,
}
MONOTONE_CONSTRAINTS = [MONOTONE.get(name, 0) for name in FEATURES]

# Facts whose drift is watched. Levels of variant and model are not: a training row's are learned
# from other rows, so they differ from those of the same machine scored later.
WATCHED = ("age_years", "hours_meter", "class_level", "size")

_SIZE = re.compile(r"- (\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What is known of a machine on a day.

    Attributes:
        product_group: One of PRODUCT_GROUPS; "" where the machine belongs to none of them.
        product_class: The data's class with its size range; "" where unknown.
        base_model: The model's family, for example "320"; "" where unknown.
        variant: Secondary description, series and descriptor of the model (VARIANT_PARTS), each
            "" where unknown, joined by "|".
        build_year: None where unknown.
        hours_meter: Hours; None where unknown.
        options: Equipment by column; an option left out is taken as standard for the group.
    """

    on: date
    product_group: str
    product_class: str = ""
    base_model: str = ""
    variant: str = "||"
    build_year: int | None = None
    hours_meter: Decimal | float | None = None
    options: Mapping[str, str] = field(default_factory=dict)


def age_years(build_year: int | None, on: date) -> float:
    """Return a machine's age in years, counted from the start of the year it was built."""
    if build_year is None:
        return UNKNOWN
    return max(0.0, fractional_year(on) - build_year)


def fractional_year(on: date) -> float:
    """Return a date as a year and its fraction."""
    return on.year + (on.timetuple().tm_yday - 1) / DAYS_PER_YEAR


def size_of(product_class: str) -> float:
    """Return the lower end of a class's size range, in the class's own unit, or NaN."""
    found = _SIZE.search(product_class)
    return float(found.group(1)) if found else UNKNOWN


def hours_feature(hours_meter: Decimal | float | None) -> float:
    """Return the hours as the booster sees them; 0 and absent are unknown."""
    if hours_meter is None or not hours_meter > 0:
        return UNKNOWN
    return min(float(hours_meter), HOURS_MAX)


def vector(facts: MachineFacts, encodings: Encodings) -> list[float]:
    """Return a machine's features in the order of FEATURES; NaN is unknown."""
    group = facts.product_group
    levels = encodings.levels(
        group, facts.product_class, base_model=facts.base_model, variant=facts.variant
    )
    size = size_of(facts.product_class)
    return [
        age_years(facts.build_year, facts.on),
        hours_feature(facts.hours_meter),
        levels.product_class,
        levels.variant,
        levels.model,
        encodings.typical_size(group) if math.isnan(size) else size,
        float(PRODUCT_GROUPS.index(group)) if group in PRODUCT_GROUPS else UNKNOWN,
        *(
            encodings.code(name, part)
            for name, part in zip(VARIANT_PARTS, facts.variant.split("|"), strict=False)
        ),
        *(encodings.option_code(group, name, facts.options.get(name, "")) for name in OPTIONS),
    ]
