"""The image example."""
