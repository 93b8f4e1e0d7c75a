"""The daemon's view of a stack from what its keepers say, and of apps whose keeper says nothing."""

from collections.abc import Iterable, Mapping

from omnitron.control.daemon import InfraStatus, StackStatus
from omnitron.control.keeper import AppStatus, ProcessStatus
from omnitron.daemon.infra_record import InfraRecord
from omnitron.infra.plan import INFRA_APP
from omnitron.model.state import Want
from omnitron.store.records import Desired

_WORST_FIRST = ("failed", "degraded", "starting", "stopping")
_INFRA_STATES = {"degraded": "starting", "stopping": "stopped"}


def stack_status(
    name: str,
    records: Iterable[Desired],
    found: Mapping[str, AppStatus | None],
    infra: Iterable[InfraRecord],
    problems: Mapping[str, str],
) -> StackStatus:
    """found: by app, the infrastructure's under "infra". problems: why there is no keeper, by app."""
    apps = tuple(
        found.get(record.spec.app) or without_keeper(record, problems.get(record.spec.app, ""))
        for record in records
        if record.spec.app != INFRA_APP
    )
    running = found.get(INFRA_APP)
    services = tuple(_service(record, running) for record in infra)
    return StackStatus(name=name, state=overall(app.state for app in apps), apps=apps, infrastructure=services)


def overall(states: Iterable[str]) -> str:
    """The worst; "stopped" only if all are."""
    seen = set(states)
    if seen <= {"stopped"}:
        return "stopped"
    return next((state for state in _WORST_FIRST if state in seen), "ready")


def without_keeper(record: Desired, problem: str) -> AppStatus:
    state = "stopped" if record.want is Want.DOWN else "failed" if problem else "starting"
    spec = record.spec
    processes = tuple(
        ProcessStatus(name=p.process.name, state=state, want=p.want, count=p.count, ports=p.ports)
        for p in spec.processes
    )
    return AppStatus(
        app=spec.app, stack=spec.stack, state=state, keeper_pid=0, version=spec.version, processes=processes
    )


def _service(record: InfraRecord, running: AppStatus | None) -> InfraStatus:
    plan = record.plan
    process = next((p for p in running.processes if p.name == plan.name), None) if running else None
    replica = process.replicas[0] if process and process.replicas else None
    if plan.native:
        state = _INFRA_STATES.get(process.state, process.state) if process else "stopped"
    else:
        state = "ready" if record.provisioned else "starting"
    return InfraStatus(
        name=plan.name,
        preset=plan.preset,
        driver=plan.driver,
        state=state,
        port=record.settled.port,
        pid=replica.pid if replica else None,
        version=record.version or (record.prepared.version if record.prepared else ""),
        used_by=tuple(client.app for client in plan.clients),
        detail=replica.detail if replica else "",
    )
