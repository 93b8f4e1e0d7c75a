"""Events: what happened, to whom, why. The history behind `omnitron why`."""

from typing import Any

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """seq: grows by one per emitter (keeper or daemon), never reused. time: Unix seconds.

    subject: "app", "app/process", "app/process/slot" or "infra/postgres". kind: dotted and stable, such as
    "replica.ready", "replica.exited", "replica.backoff", "replica.given_up", "rollout.done", "infra.ready".
    reason: in words, with the values. level: info, warning or error.
    """

    seq: int
    time: float
    stack: str
    subject: str
    kind: str
    reason: str = ""
    level: str = "info"
    data: dict[str, Any] = {}
