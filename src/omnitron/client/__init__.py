"""For visitors with an event loop: reach the daemon of a home, starting it where there is none."""

from omnitron.client.daemon import connect_daemon, ensure_daemon, start_daemon

__all__ = ["connect_daemon", "ensure_daemon", "start_daemon"]
