"""Residual values of construction machines: import, features, training, intervals, evaluation.

`python -m ml.residual_value --help` teaches the commands. The valuation service uses `features`
and `model` only; those two need numpy and lightgbm and nothing else.
"""
