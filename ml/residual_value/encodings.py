"""Price levels of classes, variants and models, and codes of equipment, as learned in training.

Levels are logarithms of price at the index of the window's end, shrunk towards their parent:
class, then variant within the class, then model. Only keys with at least `SALES_MIN` sales are
kept, so no level stands for a single row.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
        return float(self.codes[feature].get(value, UNKNOWN))

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


def catalogue_key(group: str, name: str) -> str:
    """Return the key of a model's name: upper case, letters and digits only."""
    return f"{group}|{''.join(character for character in name.upper() if character.isalnum())}"
