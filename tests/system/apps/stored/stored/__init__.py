"""The system that keeps numbers."""
