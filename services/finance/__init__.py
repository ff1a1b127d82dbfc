"""Lending against machines and the purchase of lease instalments."""
