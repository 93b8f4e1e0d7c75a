"""What the daemon asks of a keeper.

`apply` is level-triggered and idempotent: it carries the whole desired state of the app; the keeper finds the
difference to what runs and moves towards it in dependency order. Everything else is a command of the operator.
"""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from omnitron.control.events import Event
from omnitron.control.service import control_service
from omnitron.model.process import Process
from omnitron.model.restart import Strategy
from omnitron.model.shutdown import Shutdown

KEEPER_SERVICE = "omnitron.keeper@1.0.0"


class EndpointInfo(msgspec.Struct, frozen=True):
    """One callable replica. path: the stable symlink to dial. concurrency: calls it runs at once."""

    replica: str
    path: str
    incarnation: int
    concurrency: int


class ServiceEndpoints(msgspec.Struct, frozen=True):
    """A service and who serves it now. app: whose; service: "name@version"; class_name: as in Remote[T]."""

    app: str
    service: str
    class_name: str
    endpoints: tuple[EndpointInfo, ...]


class ProcessSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A process as a keeper runs it.

    process: the definition. want: "up" or "down". count: replicas wanted now (scale and autoscale change it).
    services: those it offers, as (service "name@version", class name). calls: class or service names it needs.
    after: processes of the app that must be ready first (derived from calls and depends_on).
    env: complete additions to the environment, secrets included. fingerprint: changes when code or definition do, so
    that `apply` knows what to roll. ports: transport ("http", "websocket") to the allocated port.
    """

    process: Process
    want: str = "up"
    count: int = 1
    services: tuple[tuple[str, str], ...] = ()
    calls: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    env: dict[str, str] = {}
    fingerprint: str = ""
    ports: dict[str, int] = {}


class AppSpec(msgspec.Struct, frozen=True, kw_only=True):
    """An app as a keeper runs it. cwd: absolute. python: interpreter for module and asgi entries."""

    app: str
    stack: str
    version: str
    cwd: str
    python: str
    processes: tuple[ProcessSpec, ...]
    strategy: Strategy = "one_for_one"
    shutdown: Shutdown = Shutdown()
    log_dir: str = ""
    dev: bool = False


class ReplicaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """phase: a word of model.state.Phase. since: Unix time of the phase. restarts: within the restart period.

    cpu: percent of one core. rss, pss: bytes, None if unknown. in_flight, queued, calls: of its RPC server.
    mode: "template", "spawn" or "command". detail: what it is doing or waiting for, in words.
    """

    replica: str
    phase: str
    ready: bool
    pid: int | None = None
    incarnation: int = 0
    since: float = 0.0
    restarts: int = 0
    restarts_total: int = 0
    mode: str = ""
    cpu: float | None = None
    rss: int | None = None
    pss: int | None = None
    in_flight: int = 0
    queued: int = 0
    calls: int = 0
    detail: str = ""
    metrics: dict[str, float] = {}


class ProcessStatus(msgspec.Struct, frozen=True, kw_only=True):
    """state: "ready" (all wanted replicas are), "degraded" (some), "starting", "stopping", "stopped" or "failed".

    fingerprint: of the spec its replicas run; refused: of one whose reload failed, so that the old code serves on.
    """

    name: str
    state: str
    want: str
    count: int
    replicas: tuple[ReplicaStatus, ...] = ()
    ports: dict[str, int] = {}
    services: tuple[str, ...] = ()
    reload: str = ""
    fingerprint: str = ""
    refused: str = ""


class AppStatus(msgspec.Struct, frozen=True, kw_only=True):
    """keeper_pid: of the process that answers. state: as ProcessStatus.state, the worst of its processes."""

    app: str
    stack: str
    state: str
    keeper_pid: int
    version: str = ""
    processes: tuple[ProcessStatus, ...] = ()


@control_service(KEEPER_SERVICE)
class KeeperApi(Protocol):
    """Service "omnitron.keeper@1" on `<run>/<stack>/<app>/keeper.sock`."""

    async def apply(self, spec: AppSpec) -> None:
        """Make the app so; returns at once, `status` and `events` show the progress."""

    async def status(self) -> AppStatus: ...

    def events(self, after: int) -> AsyncIterator[Event]:
        """Events with seq > after: those kept (a bounded ring), then as they happen."""

    async def start(self, process: str | None, slot: int | None) -> None: ...
    async def stop(self, process: str | None, slot: int | None) -> None:
        """Returns when it is stopped."""

    async def restart(self, process: str | None, slot: int | None) -> None:
        """Stop and start; returns when ready again. Raises OperationError if it does not get ready."""

    async def reload(self, process: str | None) -> None:
        """New replicas ready before the old ones drain. Returns when done; raises Refused, the old code serving on."""

    async def scale(self, process: str, count: int) -> None: ...

    async def directory(self, services: list[ServiceEndpoints]) -> None:
        """Endpoints of other apps' services; replaces the earlier ones."""

    async def gone(self, replica: str, incarnation: int, reason: str) -> None:
        """A replica of another app has died: tell the replicas that may be calling it."""

    def endpoints(self) -> AsyncIterator[list[ServiceEndpoints]]:
        """What this app exposes to others: now, and again at each change."""

    async def shutdown(self, kill: bool) -> None:
        """Stop all replicas in order (kill: at once), then the keeper itself."""
