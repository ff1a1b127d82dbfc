"""The market index by product group, as training data gave it; JSON files beside the models."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path

from ml.residual_value.model import ResidualValueModel

SCALE = Decimal("0.000001")


class IndicesRefused(Exception):
    """A file that holds no index series."""


@dataclass(frozen=True, slots=True)
class IndexPoint:
    """A month's index against the last month, and the standard error of its logarithm."""

    month: date
    value: Decimal
    standard_error: Decimal | None


Series = Mapping[str, Sequence[IndexPoint]]


class Indices:
    """Series by product group, by the hash of the sales that they come from."""

    def __init__(self, by_sales: Mapping[str, Series]) -> None:
        self._by_sales = by_sales

    def series_of(self, model: ResidualValueModel, group: str) -> tuple[Sequence[IndexPoint], str]:
        """Return a group's points of a model's training sales, and how they were made.

        A model whose sales have no series of their own has the one of all groups that it was
        trained with, whose standard error is not known.
        """
        points = self._by_sales.get(model.calibration.sales_sha256, {}).get(group)
        if points is not None:
            return points, (
                "hedonic regression of the group's training sales: log price on class, age, hours "
                "and month, the months a random walk; standard error of each against the last"
            )
        first, index = model.calibration.first_month, model.calibration.index
        pooled = [
            IndexPoint(
                date((first + place) // 12, (first + place) % 12 + 1, 1),
                Decimal(repr(value)).exp().quantize(SCALE),
                None,
            )
            for place, value in enumerate(index)
        ]
        return pooled, "the model's index of all product groups; it has none by group, nor an error"


def read_indices(folder: Path) -> Indices:
    """Return every series of a folder's JSON files.

    Raises:
        IndicesRefused: A file cannot be read as one.
    """
    return Indices(dict(map(_read, sorted(folder.glob("*.json")))))


def _read(path: Path) -> tuple[str, Series]:
    try:
        content = json.loads(path.read_text(), parse_float=Decimal)
        series = {
            group: tuple(
                IndexPoint(
                    date.fromisoformat(month),
                    Decimal(log_index).exp().quantize(SCALE),
                    Decimal(error),
                )
                for month, log_index, error in points
            )
            for group, points in content["series"].items()
        }
        return str(content["sales_sha256"]), series
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as error:
        raise IndicesRefused(f"{path} holds no index series: {error!r}") from error
