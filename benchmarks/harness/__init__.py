"""Runs the cases, waits for a quiet machine, writes tables and charts."""
