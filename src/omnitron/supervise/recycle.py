"""Whether a replica is to be replaced before it fails: by memory, age or calls answered.

Each incarnation has its own chance `u`, thrown once when it starts, that lowers its limits by up to JITTER. Replicas
that started together and share the load evenly therefore do not all reach their limits in the same second.
"""

from typing import Final

import msgspec

from omnitron.base.units import show_seconds, show_size
from omnitron.model.scaling import Recycle
from omnitron.model.state import Reason

JITTER: Final = 0.1  # share by which an incarnation's limits may be lower than declared


class Usage(msgspec.Struct, frozen=True):
    """rss: resident bytes. age: seconds since ready. calls: answered since boot."""

    rss: int
    age: float
    calls: int


def recycle(rules: Recycle, usage: Usage, u: float) -> Reason | None:
    """Why the replica is to be replaced now, or None. u: in [0, 1), the same for all of an incarnation's life."""
    share = 1 - JITTER * u
    if rules.memory is not None and usage.rss >= float(rules.memory) * share:
        return Reason(
            "recycle", f"recycled at {show_size(usage.rss)} resident (limit {show_size(float(rules.memory))})"
        )
    if rules.age is not None and usage.age >= float(rules.age) * share:
        return Reason("recycle", f"recycled after {show_seconds(usage.age)} (limit {show_seconds(float(rules.age))})")
    if rules.calls is not None and usage.calls >= rules.calls * share:
        return Reason("recycle", f"recycled after {usage.calls} calls (limit {rules.calls})")
    return None
