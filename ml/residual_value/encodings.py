"""Price levels of classes, variants and models, and codes of equipment, as learned in training.

Levels are logarithms of price at the index of the window's end, shrunk towards their parent:
class, then variant within the class, then model. Only keys with at least `SALES_MIN` sales are
kept, so no level stands for a single row.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

SALES_MIN = 5  # a level of fewer sales would be close to a row of the data
CATALOGUE_SALES_MIN = 10  # a model counts as known from here on

UNKNOWN = math.nan


@dataclass(frozen=True, slots=True)
class Levels:
    """Where a machine's price stands before age and hours: class, variant and model add up."""

    product_class: float
    variant: float
    model: float

    @property
    def total(self) -> float:
        """The sum, in log price."""
        return self.product_class + self.variant + self.model


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """A model that the training data know well, by name."""

    product_group: str
    product_class: str
    base_model: str
    variant: str
    sales: int


@dataclass(frozen=True, slots=True)
class Encodings:
    """What turns words into numbers. Keys are joined by "|".

    Attributes:
        group_levels: Mean class level by product group; "" is the mean of all.
        class_levels: By class.
        variant_levels: By class and variant.
        base_levels: By group and base model.
        model_levels: By group, base model and variant.
        typical_sizes: Median size by product group; "" is the median of all.
        codes: Code by categorical feature (options and parts of the variant) and value.
        standard_options: The most frequent value by group and option.
        catalogue: Known models by "group|normalised name".
        layout: Names of a row's features, in their order.
        region_levels: By region, 0 being the average one.
        variant_spreads: How much further than average sales of a class and variant lie from what
            the median says, in log price.
        base_effects, model_effects, local_effects: What is added to the boosters' output: by group
            and base model, by full model beside it, and by class, variant and region.
    """

    group_levels: Mapping[str, float]
    class_levels: Mapping[str, float]
    variant_levels: Mapping[str, float]
    base_levels: Mapping[str, float]
    model_levels: Mapping[str, float]
    typical_sizes: Mapping[str, float]
    codes: Mapping[str, Mapping[str, int]]
    standard_options: Mapping[str, Mapping[str, str]]
    catalogue: Mapping[str, CatalogueModel]
    layout: Sequence[str]
    region_levels: Mapping[str, float] = field(default_factory=dict)
    variant_spreads: Mapping[str, float] = field(default_factory=dict)
    base_effects: Mapping[str, float] = field(default_factory=dict)
    model_effects: Mapping[str, float] = field(default_factory=dict)
    local_effects: Mapping[str, float] = field(default_factory=dict)

    def levels(self, group: str, product_class: str, *, base_model: str, variant: str) -> Levels:
        """Return a machine's levels; an unknown key counts as its parent."""
        group_level = self.group_levels.get(group, self.group_levels[""])
        model = 0.0
        if base_model:
            model = self.base_levels.get(base_key(group, base_model), 0.0)
            model += self.model_levels.get(model_key(group, base_model, variant), 0.0)
        return Levels(
            self.class_levels.get(product_class, group_level),
            self.variant_levels.get(variant_key(product_class, variant), 0.0),
            model,
        )

    def typical_size(self, group: str) -> float:
        """Return the median size of a group."""
        return self.typical_sizes.get(group, self.typical_sizes[""])

    def code(self, feature: str, value: str) -> float:
        """Return the code of a value of a categorical feature; NaN: none, or too rare."""
        return float(self.codes.get(feature, {}).get(value, UNKNOWN))

    def model_effect(self, group: str, base_model: str, variant: str) -> float:
        """Return what a model adds to the boosters' output; 0 where it is not known."""
        if not base_model:
            return 0.0
        return self.base_effects.get(base_key(group, base_model), 0.0) + self.model_effects.get(
            model_key(group, base_model, variant), 0.0
        )

    def option_code(self, group: str, option: str, value: str) -> float:
        """Return the code of an option's value, "" being the group's standard."""
        return self.code(option, value or self.standard_options.get(group, {}).get(option, ""))

    def find_model(self, group: str, name: str) -> CatalogueModel | None:
        """Return the known model of a name, spelled in any way, within a product group."""
        return self.catalogue.get(catalogue_key(group, name))

    def to_json(self) -> dict[str, Any]:
        """Return the plain content, for a file."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Encodings":
        """Return encodings read from a file."""
        catalogue = {key: CatalogueModel(**model) for key, model in content["catalogue"].items()}
        return cls(**{**content, "catalogue": catalogue})


def variant_key(product_class: str, variant: str) -> str:
    """Return the key of a variant within a class."""
    return f"{product_class}|{variant}"


def base_key(group: str, base_model: str) -> str:
    """Return the key of a base model."""
    return f"{group}|{base_model}"


def model_key(group: str, base_model: str, variant: str) -> str:
    """Return the key of a full model."""
    return f"{group}|{base_model}|{variant}"


def local_key(product_class: str, variant: str, region: str) -> str:
    """Return the key of a variant in a region; "", which no level has, where none is stated."""
    return f"{product_class}|{variant}|{region}" if region else ""


def catalogue_key(group: str, name: str) -> str:
    """Return the key of a model's name: upper case, letters and digits only."""
    return f"{group}|{''.join(character for character in name.upper() if character.isalnum())}"
