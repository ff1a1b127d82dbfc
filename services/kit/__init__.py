"""What every service needs and no business knows: one small module per concern."""
