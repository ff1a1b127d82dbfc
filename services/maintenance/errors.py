"""What maintenance refuses about telemetry, meters and faults."""
