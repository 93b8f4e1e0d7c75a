"""`status` and `ps`."""

import time

from omnitron.base.units import show_seconds, show_size
from omnitron.cli.command import command
from omnitron.cli.connect import connect
from omnitron.cli.output import dim, echo, echo_json, paint, state, table
from omnitron.control.daemon import InfraStatus, StackStatus
from omnitron.control.keeper import ProcessStatus, ReplicaStatus


@command(stack=True)
def status(stack: str | None, as_json: bool) -> None:
    """Stacks, apps, processes and infrastructure at a glance."""
    with connect() as daemon:
        found = daemon.status(stack)
    if as_json:
        echo_json(found)
        return
    now = time.time()
    echo(
        dim(
            f"daemon {found.daemon.version} pid {found.daemon.pid} up {_age(found.daemon.since, now)}  "
            + found.daemon.home
        )
    )
    if not any(s.apps or s.infrastructure for s in found.stacks):
        echo("Nothing is declared yet. `omnitron init` writes a first system, `omnitron up` starts it.")
    for one in found.stacks:
        if one.apps or one.infrastructure:
            _stack(one, now)


def _stack(stack: StackStatus, now: float) -> None:
    echo()
    echo(f"{paint(stack.name, bold=True)}  {state(stack.state)}")
    for app in stack.apps:
        echo(f"  {paint(app.app, bold=True)} {dim(app.version)}  {state(app.state)}")
        _indented(table([_process(p, now) for p in app.processes], _PROCESS_HEADER), 4)
        for process in app.processes:
            for replica in process.replicas:
                if replica.detail and not replica.ready and process.want == "up":
                    echo(f"    {state(replica.phase)} {replica.replica}: {replica.detail}")
    if stack.infrastructure:
        echo(f"  {paint('infrastructure', bold=True)}")
        _indented(table([_infra(i) for i in stack.infrastructure], _INFRA_HEADER), 4)


_PROCESS_HEADER = ("process", "state", "replicas", "cpu", "memory", "calls", "restarts", "up", "address")
_INFRA_HEADER = ("service", "state", "driver", "port", "pid", "used by")


def _process(process: ProcessStatus, now: float) -> tuple[str, ...]:
    ready = [r for r in process.replicas if r.ready]
    cpu = sum(r.cpu or 0.0 for r in process.replicas)
    memory = sum(r.pss or r.rss or 0 for r in process.replicas)
    restarts = sum(r.restarts_total for r in process.replicas)
    since = max((r.since for r in ready), default=0.0)
    address = " ".join(f"{kind}:{port}" for kind, port in process.ports.items())
    return (
        process.name,
        state(process.state),
        f"{len(ready)}/{process.count}",
        f"{cpu:.0f}%" if process.replicas else "",
        show_size(memory) if memory else "",
        str(sum(r.calls for r in process.replicas) or ""),
        str(restarts) if restarts else "",
        _age(since, now),
        address,
    )


def _infra(infra: InfraStatus) -> tuple[str, ...]:
    return (
        f"{infra.name} {infra.version}".strip(),
        state(infra.state),
        infra.driver,
        str(infra.port or ""),
        str(infra.pid or ""),
        ", ".join(infra.used_by),
    )


def _indented(text: str, by: int) -> None:
    for line in text.splitlines():
        echo(" " * by + line)


def _age(since: float, now: float) -> str:
    return show_seconds(max(0.0, now - since)) if since else ""


_PS_HEADER = (
    "replica",
    "phase",
    "pid",
    "mode",
    "cpu",
    "rss",
    "pss",
    "in flight",
    "queued",
    "calls",
    "restarts",
    "since",
)


@command(stack=True)
def ps(stack: str | None, as_json: bool) -> None:
    """One line per replica."""
    with connect() as daemon:
        found = daemon.status(stack)
    if as_json:
        echo_json([{"stack": s.name, "replicas": replicas_of(s)} for s in found.stacks])
        return
    now = time.time()
    rows = [_replica(r, now) for s in found.stacks for r in replicas_of(s)]
    echo(table(rows, _PS_HEADER) if rows else "Nothing runs.")


def replicas_of(stack: StackStatus) -> list[ReplicaStatus]:
    """All replicas of all apps."""
    return [replica for app in stack.apps for process in app.processes for replica in process.replicas]


def _replica(r: ReplicaStatus, now: float) -> tuple[str, ...]:
    return (
        r.replica,
        state("ready" if r.ready else r.phase),
        str(r.pid or ""),
        r.mode,
        "" if r.cpu is None else f"{r.cpu:.0f}%",
        show_size(r.rss) if r.rss else "",
        show_size(r.pss) if r.pss else "",
        str(r.in_flight),
        str(r.queued),
        str(r.calls),
        str(r.restarts_total),
        _age(r.since, now),
    )
