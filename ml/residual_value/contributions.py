"""Why a machine's price is what it is: TreeSHAP contributions of the median booster, by group.

LightGBM's `pred_contrib` gives each feature's part of the log price; they add up to the median.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

import numpy as np

from ml.residual_value.features import OPTIONS, MachineFacts, vector
from ml.residual_value.model import ResidualValueModel, exact

AGE, HOURS, EQUIPMENT, MODEL = "AGE", "HOURS", "EQUIPMENT", "MODEL"
GROUPS = (MODEL, EQUIPMENT, AGE, HOURS)
_GROUP_OF = {"age_years": AGE, "hours_meter": HOURS} | dict.fromkeys(OPTIONS, EQUIPMENT)

Contributions = Mapping[str, Decimal]


class Contributor:
    """The median booster of a model, asked for its reasons."""

    def __init__(self, model: ResidualValueModel) -> None:
        self._model = model
        groups = [_GROUP_OF.get(name, MODEL) for name in model.features]
        self._columns = {
            group: [place for place, own in enumerate(groups) if own == group] for group in GROUPS
        }

    def contributions(self, facts: Sequence[MachineFacts]) -> list[Contributions]:
        """Return each machine's parts of the log price, by group, rounded to nine decimals.

        What is left of the log price is the same for every machine: the mean of the training
        sales at the index of the window's end.
        """
        encodings = self._model.encodings
        rows = np.array([vector(machine, encodings) for machine in facts], dtype=np.float64)
        parts = self._model.median_contributions(rows)
        return [
            {group: exact(float(row[columns].sum())) for group, columns in self._columns.items()}
            for row in parts
        ]
