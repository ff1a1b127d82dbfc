"""What every change must pass: one line a check, the first failure shown whole."""
