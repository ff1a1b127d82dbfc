"""Machine learning of Ironloop."""
