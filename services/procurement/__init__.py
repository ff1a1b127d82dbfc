"""Procurement: purchase orders with escrow, and demand pools (集采)."""
