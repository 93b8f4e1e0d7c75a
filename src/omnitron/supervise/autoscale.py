"""How many replicas a pool should have now: quickly up, slowly down.

The target follows the load as a whole: the CPU and the waiting calls of all replicas together, divided by what one
should carry. So a replica that is still booting, and reports nothing, does not make the pool look idle. Upwards the
target is taken at once; downwards one replica goes per cooldown, and only if the rest would then be clearly (SLACK)
under the target, so that a pool at its limit does not go up and down in turns.
"""

from collections.abc import Sequence
from math import ceil
from typing import Final

import msgspec

from omnitron.base.units import show_seconds
from omnitron.model.scaling import Scaling

SLACK: Final = 0.8  # of the target: what the remaining replicas may carry after one is taken away
TOLERANCE: Final = 1.1  # of the target: load below this is not worth another replica
UP_SHARE: Final = 0.25  # of the cooldown: between a change and the next one upwards


class Sample(msgspec.Struct, frozen=True):
    """One ready replica. cpu: percent of one core, averaged over the sampling interval. queued: waiting calls."""

    cpu: float
    queued: float


class Scale(msgspec.Struct, frozen=True):
    """count: replicas wanted now. changed_at: when that last changed, None if never."""

    count: int
    changed_at: float | None = None


def autoscale(
    config: Scaling, instances: int, samples: Sequence[Sample], now: float, state: Scale
) -> tuple[Scale, str]:
    """The new state and why, in words; the same state (and why not) if nothing is to change.

    instances: the least; `config.max_instances` is the most. samples: of the ready replicas, at most one each.
    """
    if config.strategy != "auto":
        return state, "scaling is manual"
    load, cause = _load(config, samples)
    since = float("inf") if state.changed_at is None else now - state.changed_at
    wanted = state.count if load <= state.count * TOLERANCE else ceil(load)
    if len(samples) == state.count and load <= (state.count - 1) * SLACK:
        wanted = state.count - 1
    wanted = max(instances, min(wanted, max(config.max_instances, instances)))
    if wanted == state.count:
        return state, f"{state.count} replicas fit {cause}"
    wait = float(config.cooldown) * (UP_SHARE if wanted > state.count else 1.0)
    if since < wait:
        return state, f"{wanted} replicas would fit {cause}; cooling down for {show_seconds(wait - since)}"
    return Scale(wanted, now), f"{wanted} instead of {state.count} replicas for {cause}"


def _load(config: Scaling, samples: Sequence[Sample]) -> tuple[float, str]:
    """How many replicas the load is worth by the stricter measure, and that measure in words."""
    cpu, queued = sum(s.cpu for s in samples), sum(s.queued for s in samples)
    by_cpu, by_queue = cpu / config.target_cpu, queued / config.target_queue
    if by_cpu >= by_queue:
        return by_cpu, f"{cpu:.0f} % CPU at {config.target_cpu:.0f} % each"
    return by_queue, f"{queued:.0f} waiting calls at {config.target_queue:g} each"
