"""The state machines of meter readings and faults, as tables."""
