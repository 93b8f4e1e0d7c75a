"""Omnitron: the application server for Python."""
