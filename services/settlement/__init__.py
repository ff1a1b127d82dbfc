"""Settlement: the double-entry ledger, the one place where money moves."""
