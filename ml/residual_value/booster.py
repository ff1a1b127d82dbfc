"""LightGBM without the packages it would load beside itself.

Importing lightgbm imports scikit-learn, pyarrow and more where they are installed: 65 MB that a
service which only predicts never uses. They are hidden while it is imported.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NOT_NEEDED = ("sklearn", "pandas", "pyarrow", "dask", "matplotlib", "graphviz")

Matrix = NDArray[np.float64]


def lightgbm() -> Any:
    """Return the lightgbm module, imported lean where nothing has imported it before."""
    if "lightgbm" in sys.modules:
        return sys.modules["lightgbm"]
    hidden = [name for name in _NOT_NEEDED if name not in sys.modules]
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # makes the import fail, as absent
    try:
        return importlib.import_module("lightgbm")
    finally:
        for name in hidden:
            del sys.modules[name]


class Booster:
    """A trained booster read from its native text; predicts on one thread, always the same."""

    def __init__(self, path: Path, *, features: int) -> None:
        self._booster = lightgbm().Booster(model_file=str(path))
        if self._booster.num_feature() != features:
            raise ValueError(
                f"{path.name} takes {self._booster.num_feature()} features, not {features}"
            )

    def predict(self, rows: Matrix) -> Matrix:
        """Return the raw output for each row."""
        output: Matrix = self._booster.predict(rows, num_threads=1)
        return output
