"""How an app stops."""

import msgspec

from omnitron.model.fields import Seconds, normalise_seconds


class Shutdown(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The order is derived from who calls whom: callers stop first. `priority` (higher stops later) only breaks ties.

    timeout: seconds a replica may take to finish what it has accepted; then it is killed.
    drain_connections: finish calls and requests in flight; False ends them with `Cancelled`.
    """

    priority: int = 0
    timeout: Seconds = 15.0
    drain_connections: bool = True

    def __post_init__(self) -> None:
        normalise_seconds(self, "timeout")
