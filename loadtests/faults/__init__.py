"""The fault campaign: a small stack under load, broken by seed, and what it then still holds."""
