"""Why something is as it is, in sentences: from its status, what was asked of it, and the latest events."""

from collections.abc import Iterable, Sequence
from typing import Final

from omnitron.base.names import ReplicaId, Target
from omnitron.base.units import show_seconds
from omnitron.control.events import Event
from omnitron.control.keeper import AppStatus, ProcessStatus, ReplicaStatus
from omnitron.model.state import Phase, Want
from omnitron.store.records import Desired

TROUBLE: Final = ("warning", "error")
_IS: Final[dict[str, str]] = {
    Phase.RUNNING: "running, not ready",
    Phase.BACKOFF: "in backoff",
    Phase.GIVEN_UP: "given up",
}


def why(
    target: Target, record: Desired, status: AppStatus | None, events: Sequence[Event], problem: str, now: float
) -> tuple[str, ...]:
    """problem: why there is no keeper, "" if unknown. events: about the target, oldest first."""
    app = target.app
    if record.want is Want.DOWN:
        return (f"{app} is down because it was asked to be.", *_last_trouble(events, now))
    if status is None:
        return (f"{app} should be up, but its keeper does not answer{f': {problem}' if problem else ''}.",)
    processes = [p for p in status.processes if target.process in (None, p.name)]
    sentences = [] if target.process else [f"{app} is {status.state}: {_count(processes)}."]
    for process in processes:
        sentences.extend(_process(target, process, record, now))
    return (*sentences, *_last_trouble(events, now))


def _count(processes: Iterable[ProcessStatus]) -> str:
    return ", ".join(f"{process.name} {process.state}" for process in processes) or "no processes"


def _process(target: Target, process: ProcessStatus, record: Desired, now: float) -> Iterable[str]:
    subject = f"{target.app}/{process.name}"
    spec = next((p for p in record.spec.processes if p.process.name == process.name), None)
    if process.want == Want.DOWN:
        yield f"{subject} is {process.state} because it was asked to be stopped."
        return
    replicas = [r for r in process.replicas if target.covers(ReplicaId.parse(r.replica))]
    if target.slot is None:
        ready = sum(replica.ready for replica in replicas)
        yield f"{subject} is {process.state}: {ready} of {process.count} replicas are ready."
    if spec is not None and spec.count != spec.process.instances:
        yield f"{subject} was scaled to {spec.count}; its definition says {spec.process.instances}."
    if spec is not None and process.refused and process.refused == spec.fingerprint:
        yield f"{subject} still runs the code from before: its reload was refused, {process.reload}."
    for replica in replicas:
        if target.slot is not None or not replica.ready:
            yield _replica(replica, record, now)


def _replica(replica: ReplicaStatus, record: Desired, now: float) -> str:
    name = ReplicaId.parse(replica.replica)
    since = f" for {show_seconds(max(0.0, now - replica.since))}" if replica.since else ""
    state = "ready" if replica.ready else _IS.get(replica.phase, replica.phase)
    text = f"{replica.replica} is {state}{since}"
    if replica.detail:
        text += f": {replica.detail}"
    restart = next((p.process.restart for p in record.spec.processes if p.process.name == name.process), None)
    if replica.restarts and restart is not None:
        period = show_seconds(float(restart.period))
        text += f"; restart {replica.restarts} of {restart.intensity} within {period}"
    return text + "."


def _last_trouble(events: Sequence[Event], now: float) -> Iterable[str]:
    """The newest thing that went wrong, if it is not the newest thing at all: what followed it is the better news."""
    trouble = next((event for event in reversed(events) if event.level in TROUBLE), None)
    if trouble is not None:
        ago = show_seconds(max(0.0, now - trouble.time))
        reason = f": {trouble.reason}" if trouble.reason else ""
        yield f"Last trouble, {ago} ago: {trouble.subject} {trouble.kind}{reason}."


def subjects(target: Target) -> tuple[str, ...]:
    """The event subjects a target covers."""
    return (str(target),) if target.slot is not None else (str(target), f"{target}/")
