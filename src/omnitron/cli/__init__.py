"""The command line: a visitor of the daemon. It knows only `control`, `client` and `logs`."""
