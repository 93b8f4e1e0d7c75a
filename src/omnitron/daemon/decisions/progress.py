"""What a keeper's status says about an operation: which processes are where they should be, and which never will."""

from collections.abc import Iterator

from omnitron.control.daemon import Progress
from omnitron.control.keeper import AppSpec, AppStatus, ProcessSpec, ProcessStatus, ReplicaStatus
from omnitron.model.state import Phase, Want

STARTUP_MARGIN_S = 30.0


def steps(spec: AppSpec, status: AppStatus | None) -> list[Progress]:
    """One for each process of the spec, and for each that should be gone and is not."""
    found = {process.name: process for process in status.processes} if status else {}
    wanted = {process.process.name for process in spec.processes}
    result = [_step(spec.app, process, found.get(process.process.name)) for process in spec.processes]
    return result + [_leaving(spec.app, process) for name, process in found.items() if name not in wanted]


def stopping(status: AppStatus) -> list[Progress]:
    """One for each process that still has something running."""
    return [_leaving(status.app, process) for process in status.processes if process.state != "stopped"]


def settled(progress: list[Progress]) -> bool:
    return all(step.done for step in progress)


def ready_timeout(spec: AppSpec) -> float:
    """Seconds after which an app that is still not settled never will be: its processes may start one by one."""
    return STARTUP_MARGIN_S + sum(float(p.process.startup_timeout) for p in spec.processes if p.want == Want.UP)


def _step(app: str, spec: ProcessSpec, status: ProcessStatus | None) -> Progress:
    subject = f"{app}/{spec.process.name}"
    if status is None or status.want != spec.want:
        return Progress(subject=subject, state="waiting", detail="its keeper has not begun")
    if spec.want == Want.DOWN:
        return _leaving(app, status) if status.state != "stopped" else _done(subject, "stopped")
    if status.reload:
        return Progress(subject=subject, state="reloading", detail=status.reload)
    replicas = tuple(_current(status))
    if status.state == "ready" and len(replicas) >= status.count:
        return _done(subject, "ready")
    stuck = [replica for replica in replicas if replica.phase == Phase.GIVEN_UP]
    moving = [replica for replica in replicas if not replica.ready and replica.phase != Phase.GIVEN_UP]
    if status.state == "failed" or (stuck and not moving):
        detail = next((_detail(replica) for replica in stuck or replicas), "it has failed")
        return Progress(subject=subject, state="failed", detail=detail, done=True, failed=True)
    return Progress(subject=subject, state=status.state, detail="; ".join(_detail(replica) for replica in moving[:3]))


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
