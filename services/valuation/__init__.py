"""Valuation: what a used machine is worth, as a record that can be recomputed byte for byte."""
