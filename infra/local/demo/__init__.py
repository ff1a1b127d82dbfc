"""The main job through the public API: from a fleet page to a lease that is bought out."""
