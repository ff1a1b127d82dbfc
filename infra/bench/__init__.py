"""Benchmarks: what the kit costs, measured beside what it is compared with."""
