"""A small app, for tests of the test kit."""
