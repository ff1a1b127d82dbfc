"""Loads on a local stack, and the proof after each that nothing was lost or doubled."""
