"""The system under load."""
