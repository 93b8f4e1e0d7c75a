"""The pytest plugin: fixtures for systems under test."""
