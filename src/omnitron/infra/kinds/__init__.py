"""One file per kind of service: its configuration, its configuration files, the command that runs it. Pure."""
