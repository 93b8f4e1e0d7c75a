"""What the keeper says of its app."""

import os

from omnitron.base.clock import Clock
from omnitron.control.keeper import AppSpec, AppStatus, ProcessStatus, ReplicaStatus
from omnitron.model.state import Phase
from omnitron.supervise.pool import Pool
from omnitron.supervise.replica import Replica

_WORST = ("failed", "degraded", "starting", "stopping", "ready", "stopped")

_HOPELESS = frozenset({"failed", "escalated"})  # ends after which nothing is started again


def app_status(spec: AppSpec, pools: list[Pool], failed: str, clock: Clock) -> AppStatus:
    processes = tuple(_process(pool, clock) for pool in pools)
    states = {process.state for process in processes}
    worst = next((state for state in _WORST if state in states), "stopped")
    return AppStatus(
        app=spec.app, stack=spec.stack, state="failed" if failed else worst, keeper_pid=os.getpid(),
        version=spec.version, processes=processes,
    )  # fmt: skip


def process_state(pool: Pool) -> str:
    """A word of `ProcessStatus.state`."""
    phases = {replica.slot.phase for replica in pool.replicas.values()}
    if pool.want == "down":
        return "stopped" if phases <= {Phase.STOPPED} else "stopping"
    if pool.is_ready:
        return "ready"
    ends = {replica.slot.reason.code for replica in pool.replicas.values() if replica.slot.incarnation}
    if phases == {Phase.STOPPED} and ends == {"completed"}:
        return "stopped"
    if Phase.GIVEN_UP in phases or (phases == {Phase.STOPPED} and ends & _HOPELESS):
        return "degraded" if pool.ready_count else "failed"
    return "degraded" if pool.ready_count or Phase.BACKOFF in phases else "starting"


def _process(pool: Pool, clock: Clock) -> ProcessStatus:
    replicas = sorted(pool.all(), key=lambda replica: (replica.slot.id.slot, replica.slot.incarnation))
    return ProcessStatus(
        name=pool.name,
        state=process_state(pool),
        want=pool.want,
        count=pool.count,
        replicas=tuple(_replica(replica, pool, clock) for replica in replicas),
        ports=pool.spec.ports,
        services=tuple(service for service, _ in pool.spec.services),
        reload="under way" if pool.reloading else pool.verdict,
        fingerprint=pool.spec.fingerprint,
        refused=pool.refused_fingerprint,
    )


def _replica(replica: Replica, pool: Pool, clock: Clock) -> ReplicaStatus:
    replica.sample()
    slot, stats = replica.slot, replica.stats
    alive = slot.pid is not None and slot.phase.alive
    said = f"waiting for {pool.waiting}" if pool.waiting and not alive else slot.reason.text
    role = "" if replica.role == "holder" else f"{replica.role} in a reload: "
    return ReplicaStatus(
        replica=str(slot.id),
        phase=slot.phase.value,
        ready=slot.ready,
        pid=slot.pid,
        incarnation=slot.incarnation,
        since=clock.now() - (clock.monotonic() - slot.since) if slot.since else 0.0,
        restarts=len(slot.history.recent(slot.rules.restart, clock.monotonic())),
        restarts_total=slot.restarts,
        mode=replica.mode,
        cpu=replica.cpu,
        rss=replica.rss,
        pss=replica.pss,
        in_flight=stats.in_flight if stats else 0,
        queued=stats.queued if stats else 0,
        calls=stats.calls if stats else 0,
        detail=role + said + (f" ({replica.detail})" if replica.detail else ""),
        metrics=stats.metrics if stats else {},
    )
