"""What a keeper's status says about an operation: which processes are where they should be, and which never will."""

from collections.abc import Iterator, Mapping
from typing import Final

from omnitron.control.daemon import Progress
from omnitron.control.keeper import AppSpec, AppStatus, ProcessSpec, ProcessStatus, ReplicaStatus
from omnitron.model.state import Phase, Want

STARTUP_MARGIN_S: Final = 30.0
MAX_DETAILS: Final = 3  # replicas named in one line
FIRST_LOOK_S: Final = 0.1  # a program without a probe is believed to be up after this; one that can not start is not
AFTER_AN_END_S: Final = 1.0  # the same for one that has ended already


def steps(spec: AppSpec, status: AppStatus | None, refused: Mapping[str, str], now: float) -> list[Progress]:
    """One for each process of the spec, and for each that should be gone and is not.

    refused: process to why its last reload failed. now: Unix time.
    """
    found = {process.name: process for process in status.processes} if status else {}
    wanted = {process.process.name for process in spec.processes}
    result = [
        _step(spec.app, process, found.get(process.process.name), status, refused.get(process.process.name, ""), now)
        for process in spec.processes
    ]
    return result + [_leaving(spec.app, process) for name, process in found.items() if name not in wanted]


def stopping(status: AppStatus) -> list[Progress]:
    """One for each process that still has something running."""
    return [_leaving(status.app, process) for process in status.processes if process.state != "stopped"]


def stuck(status: AppStatus | None) -> frozenset[tuple[str, int]]:
    """Replicas that are given up, with their incarnation."""
    replicas = (replica for process in (status.processes if status else ()) for replica in process.replicas)
    return frozenset((r.replica, r.incarnation) for r in replicas if r.phase == Phase.GIVEN_UP)


def settled(progress: list[Progress]) -> bool:
    return all(step.done for step in progress)


def ready_timeout(spec: AppSpec) -> float:
    """Seconds after which an app that is still not settled never will be: its processes may start one by one."""
    return STARTUP_MARGIN_S + sum(float(p.process.startup_timeout) for p in spec.processes if p.want == Want.UP)


def look_again(spec: AppSpec, status: AppStatus | None, now: float) -> float:
    """Seconds until what runs without a probe has run long enough; 0 if it has."""
    specs = {process.process.name: process for process in spec.processes}
    found = (process for process in (status.processes if status else ()) if process.name in specs)
    return max((_unproven(specs[process.name], process, now) for process in found), default=0.0)


def _unproven(spec: ProcessSpec, process: ProcessStatus, now: float) -> float:
    if spec.process.command is None or spec.process.health.probe is not None:
        return 0.0
    running = (replica for replica in process.replicas if replica.ready)
    ends = (r.since + (AFTER_AN_END_S if r.restarts else FIRST_LOOK_S) - now for r in running)
    return max(0.0, max(ends, default=0.0))


def _step(
    app: str, spec: ProcessSpec, process: ProcessStatus | None, status: AppStatus | None, why: str, now: float
) -> Progress:
    subject = f"{app}/{spec.process.name}"
    if process is None or process.want != spec.want:
        if status is not None and process is not None and status.state == "failed":
            return _failed(subject, next((_detail(replica) for replica in process.replicas), "the app has failed"))
        return Progress(subject=subject, state="waiting", detail="its keeper has not begun")
    if spec.want == Want.DOWN:
        return _leaving(app, process) if process.state != "stopped" else _done(subject, "stopped")
    if process.fingerprint != spec.fingerprint:
        if why or process.refused == spec.fingerprint:
            return _failed(subject, why or process.reload)
        return Progress(subject=subject, state="reloading", detail=_moving(process))
    if process.count != spec.count and spec.process.scaling.strategy == "manual":
        return Progress(subject=subject, state="scaling", detail=f"{process.count} -> {spec.count}")
    if process.state == "ready" and _unproven(spec, process, now):
        return Progress(subject=subject, state="starting", detail=_moving(process))
    return _replicas(subject, process)


def _replicas(subject: str, process: ProcessStatus) -> Progress:
    if process.state in ("ready", "stopped"):  # stopped by itself: its work is done
        return _done(subject, process.state)
    current = tuple(_current(process))
    stuck = [replica for replica in current if replica.phase == Phase.GIVEN_UP]
    moving = [replica for replica in current if not replica.ready and replica.phase != Phase.GIVEN_UP]
    if process.state == "failed" or (stuck and not moving):
        return _failed(subject, next((_detail(replica) for replica in stuck or current), "it has failed"))
    return Progress(subject=subject, state=process.state, detail=_moving(process))


def _moving(process: ProcessStatus) -> str:
    return "; ".join(_detail(replica) for replica in process.replicas[:MAX_DETAILS] if not replica.ready)


def _current(status: ProcessStatus) -> Iterator[ReplicaStatus]:
    """Without those that a smaller count is about to stop."""
    for replica in status.replicas:
        if int(replica.replica.rpartition("/")[2]) < status.count:
            yield replica


def _leaving(app: str, status: ProcessStatus) -> Progress:
    detail = "; ".join(_detail(replica) for replica in status.replicas if replica.phase != Phase.STOPPED)
    return Progress(subject=f"{app}/{status.name}", state="stopping", detail=detail)


def _detail(replica: ReplicaStatus) -> str:
    return f"{replica.replica} {replica.phase}{f': {replica.detail}' if replica.detail else ''}"


def _done(subject: str, state: str) -> Progress:
    return Progress(subject=subject, state=state, done=True)


def _failed(subject: str, detail: str) -> Progress:
    return Progress(subject=subject, state="failed", detail=detail, done=True, failed=True)
