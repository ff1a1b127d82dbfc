"""Data services: what the loop's events add up to."""
