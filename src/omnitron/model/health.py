"""Probes: is the replica alive, may it be called."""

import msgspec

from omnitron.model.fields import Seconds, need_positive, normalise_seconds


class Health(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Liveness and readiness of a running replica (its start has `startup_timeout`).

    Every `interval` the keeper asks the replica; the answer comes from its event loop, so a blocked loop is noticed.
    After `failures` answers in a row that are bad or take longer than `timeout`, the replica is restarted.
    readiness: "module:function" (sync or async, returns bool or raises); False takes the replica out of the
    directory without a restart. For `command=` entries `probe` says how to tell that it is up:
    "tcp:PORT", "unix:PATH", "http:PORT/PATH" or "exec:COMMAND"; None: it is up when it runs.
    """

    enabled: bool = True
    interval: Seconds = 10.0
    timeout: Seconds = 5.0
    failures: int = 3
    readiness: str | None = None
    probe: str | None = None

    def __post_init__(self) -> None:
        normalise_seconds(self, "interval", "timeout")
        need_positive(self, "interval", "timeout", "failures")
