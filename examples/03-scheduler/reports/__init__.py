"""The scheduler example."""
