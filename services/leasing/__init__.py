"""Leasing: programmes, quotes, leases, instalments and their payment, buyout, maturity, return."""
