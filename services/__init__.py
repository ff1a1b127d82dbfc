"""The services of Ironloop, one room each, and the pure libraries that they share."""
