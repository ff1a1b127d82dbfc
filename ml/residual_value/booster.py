"""LightGBM without the packages it would load beside itself.

Importing lightgbm imports scikit-learn, pyarrow and more where they are installed: 65 MB that a
service which only predicts never uses. They are hidden while it is imported.
"""

import ctypes
import importlib
import sys
import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

_NOT_NEEDED = ("sklearn", "pandas", "pyarrow", "dask", "matplotlib", "graphviz")
# Gains and weights serve the training alone; without the sizes, trees are read one after the other.
_NOT_WRITTEN = ("tree_sizes=", "split_gain=", "leaf_weight=", "internal_weight=")

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


def merged(first: Any, second: Any) -> Any:
    """Return a booster with the trees of two, whose output is the sum of theirs."""
    basic = importlib.import_module("lightgbm.basic")
    # LightGBM's Python side has no name for this call of its C interface.
    basic._safe_call(basic._LIB.LGBM_BoosterMerge(first._handle, second._handle))
    return lightgbm().Booster(model_str=first.model_to_string())


def lean_text(booster: Any) -> str:
    """Return a booster's text without what neither values nor reasons need, a third of its size."""
    kept = [
        line
        for line in booster.model_to_string().splitlines(keepends=True)
        if not line.startswith(_NOT_WRITTEN)
    ]
    return "".join(kept)


class Booster:
    """A trained booster read from its native text; predicts on one thread, always the same."""

    def __init__(self, text: str, *, name: str, features: int) -> None:
        self._booster = lightgbm().Booster(model_str=text)
        if self._booster.num_feature() != features:
            raise ValueError(f"{name} takes {self._booster.num_feature()} features, not {features}")
        self._one_row = _OneRow(self._booster, features)

    def predict(self, rows: Matrix) -> Matrix:
        """Return the output for each row, of the objective's own kind (a scale is positive)."""
        if len(rows) == 1:
            return self._one_row.predict(rows)
        output: Matrix = self._booster.predict(rows, num_threads=1)
        return output

    def contributions(self, rows: Matrix) -> Matrix:
        """Return each feature's TreeSHAP part of the output, and last what is left, by row."""
        parts: Matrix = self._booster.predict(rows, pred_contrib=True, num_threads=1)
        return parts


class _OneRow:
    """Predicts one row with what LightGBM prepares once, a third of the time of its `predict`.

    LightGBM's Python side has no name for these calls of its C interface.
    """

    _NORMAL, _FLOAT64 = 0, 1  # C_API_PREDICT_NORMAL, C_API_DTYPE_FLOAT64

    def __init__(self, booster: Any, features: int) -> None:
        basic = importlib.import_module("lightgbm.basic")
        self._booster = booster  # whose handle the prepared call keeps using
        self._check = basic._safe_call
        self._call = basic._LIB.LGBM_BoosterPredictForMatSingleRowFast
        self._features = features
        self._prepared = ctypes.c_void_p()
        self._check(
            basic._LIB.LGBM_BoosterPredictForMatSingleRowFastInit(
                booster._handle,
                ctypes.c_int(self._NORMAL),
                ctypes.c_int(0),
                ctypes.c_int(-1),
                ctypes.c_int(self._FLOAT64),
                ctypes.c_int32(features),
                ctypes.c_char_p(b"num_threads=1 verbosity=-1"),
                ctypes.byref(self._prepared),
            )
        )
        weakref.finalize(self, basic._LIB.LGBM_FastConfigFree, self._prepared)

    def predict(self, rows: Matrix) -> Matrix:
        """Return the output for the one row of a matrix."""
        if rows.shape != (1, self._features):
            raise ValueError(f"one row of {self._features} features is due, not {rows.shape}")
        row = np.ascontiguousarray(rows, dtype=np.float64)
        length, output = ctypes.c_int64(), ctypes.c_double()
        self._check(
            self._call(
                self._prepared,
                ctypes.c_void_p(row.ctypes.data),
                ctypes.byref(length),
                ctypes.byref(output),
            )
        )
        return np.array([output.value])
