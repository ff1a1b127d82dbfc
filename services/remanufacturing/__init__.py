"""Remanufacturing: cores that come back, components made as new, and passports of their lives."""
