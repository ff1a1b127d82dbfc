"""Maintenance: telemetry, meters, faults; service plans, work orders and what they complete."""
