"""From a machine's facts to the booster's features: one function for training and for serving."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from ml.residual_value.encodings import Encodings, local_key, variant_key

UNKNOWN = math.nan
HOURS_MAX = 40_000.0  # above it the meter says nothing more; 99 of 100 auctions lie below 26,000
DAYS_PER_YEAR = 365.25

PRODUCT_GROUPS = ("BL", "MG", "SSL", "TEX", "TTT", "WL")

# What the auctions say of a machine's equipment; each becomes a categorical feature. The second
# part came with the second layout.
OPTIONS_OF_FIRST_LAYOUT = (
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
OPTIONS = (
    *OPTIONS_OF_FIRST_LAYOUT,
    "Backhoe_Mounting",
    "Blade_Extension",
    "Enclosure_Type",
    "Engine_Horsepower",
    "Grouser_Tracks",
    "Steering_Controls",
)
# The parts of a variant, by their place in `MachineFacts.variant`.
VARIANT_PARTS = ("fiSecondaryDesc", "fiModelSeries", "fiModelDescriptor")

USAGE_BANDS = {"Low": 0.0, "Medium": 1.0, "High": 2.0}

NUMBERS = (
    "age_years",
    "hours_meter",
    "usage_band",
    "class_level",
    "variant_level",
    "region_level",
    "variant_spread",
    "size",
)
CATEGORICAL = ("product_group", "product_class", *VARIANT_PARTS, *OPTIONS)
# What stands beside the boosters and is added to their output: the boosters never see it, so that
# whether a sale's base model or region is known cannot become a price (see ADR 0410).
EFFECTS = ("model_effect", "local_effect")
BOOSTER_FEATURES = (*NUMBERS, *CATEGORICAL)
FEATURES = (*BOOSTER_FEATURES, *EFFECTS)

# The rows of models that were trained before there were effects; their folders name no layout.
FIRST_LAYOUT = (
    "age_years",
    "hours_meter",
    "class_level",
    "variant_level",
    "model_level",
    "size",
    "product_group",
    *VARIANT_PARTS,
    *OPTIONS_OF_FIRST_LAYOUT,
)

# Direction in which the price may move with a feature: it falls with age, hours and use, and rises
# with the effects. Levels are learned out of fold and are not constrained: that cost 0.4 %.
WEAR = ("age_years", "hours_meter", "usage_band")
MONOTONE = dict.fromkeys(WEAR, -1) | dict.fromkeys(EFFECTS, 1)
MONOTONE_CONSTRAINTS = [MONOTONE.get(name, 0) for name in BOOSTER_FEATURES]

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
        usage_band: The hours against those that its model is used to (USAGE_BANDS); "" where nobody
            said.
        region: Where it is sold (in the auctions the state); "" counts as the average region.
    """

    on: date
    product_group: str
    product_class: str = ""
    base_model: str = ""
    variant: str = "||"
    build_year: int | None = None
    hours_meter: Decimal | float | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    region: str = ""
    usage_band: str = ""


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
    """Return a machine's features in the order of the encodings' layout; NaN is unknown."""
    group = facts.product_group
    levels = encodings.levels(
        group, facts.product_class, base_model=facts.base_model, variant=facts.variant
    )
    size = size_of(facts.product_class)
    own = {
        "age_years": age_years(facts.build_year, facts.on),
        "hours_meter": hours_feature(facts.hours_meter),
        "usage_band": USAGE_BANDS.get(facts.usage_band, UNKNOWN),
        "class_level": levels.product_class,
        "variant_level": levels.variant,
        "model_level": levels.model,
        "region_level": encodings.region_levels.get(facts.region, 0.0),
        "variant_spread": encodings.variant_spreads.get(
            variant_key(facts.product_class, facts.variant), 0.0
        ),
        "size": encodings.typical_size(group) if math.isnan(size) else size,
        "product_group": (
            float(PRODUCT_GROUPS.index(group)) if group in PRODUCT_GROUPS else UNKNOWN
        ),
        "product_class": encodings.code("product_class", facts.product_class),
        "model_effect": encodings.model_effect(group, facts.base_model, facts.variant),
        "local_effect": encodings.local_effects.get(
            local_key(facts.product_class, facts.variant, facts.region), 0.0
        ),
    }
    own |= {
        name: encodings.code(name, part)
        for name, part in zip(VARIANT_PARTS, facts.variant.split("|"), strict=False)
    }
    return [
        own[name]
        if name in own
        else encodings.option_code(group, name, facts.options.get(name, ""))
        for name in encodings.layout
    ]
