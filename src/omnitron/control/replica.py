"""What a keeper asks of a replica it runs (entries with `module` or `asgi`; a `command` has no such socket).

The keeper makes the listening socket before the replica exists and calls `watch` at once; the first answer is the sign
that the child's event loop runs, "ready" that it may be published.
"""

from collections.abc import AsyncIterator
from signal import SIGUSR1
from typing import Final, Protocol

import msgspec

from omnitron.control.keeper import ServiceEndpoints
from omnitron.control.service import control_service
from omnitron.declare.rpc import rpc
from omnitron.declare.service import service

REPLICA_SERVICE = "omnitron.replica@1.0.0"

# Environment of a replica. Descriptors are numbers of inherited ones.
ENV_INSTANCE_ID = "OMNITRON_INSTANCE_ID"  # app/process/slot
ENV_STACK = "OMNITRON_STACK"
ENV_INCARNATION = "OMNITRON_INCARNATION"
ENV_BOOT = "OMNITRON_BOOT"  # JSON of BootSpec
ENV_FENCING_TOKEN = "OMNITRON_FENCING_TOKEN"
DUMP_SIGNAL: Final = SIGUSR1  # a replica answers by printing the stacks of all its threads, even with a blocked loop


class BootSpec(msgspec.Struct, frozen=True, kw_only=True):
    """All a replica must know to boot. process: the definition (model.process.Process as builtins).

    control_fd: listening Unix socket for RPC and control. http_fd, websocket_fd: inherited listening TCP sockets.
    lease_path: the singleton's lease file. keeper_socket: to ask why a sibling is gone. siblings: instances wanted.
    """

    stack: str
    app: str
    version: str
    process: dict[str, object]
    slot: int
    incarnation: int
    cwd: str
    control_fd: int
    http_fd: int | None = None
    websocket_fd: int | None = None
    lease_path: str | None = None
    keeper_socket: str = ""
    siblings: int = 1
    dev: bool = False


class ReplicaReport(msgspec.Struct, frozen=True, kw_only=True):
    """phase: "booting", "waiting" (for a lease), "importing", "warming", "ready", "not_ready", "draining", "failed".

    detail: in words, such as "warmup market.api:prime (2 of 3)" or the error. trace: of a failed boot.
    """

    phase: str
    detail: str = ""
    trace: str = ""


class ReplicaStats(msgspec.Struct, frozen=True, kw_only=True):
    """Counters since boot. metrics: named figures of kits, such as "stream.ticks.aggregators.lag"."""

    in_flight: int
    queued: int
    calls: int
    failed: int
    http_in_flight: int = 0
    http_requests: int = 0
    loop_lag: float = 0.0
    ready: bool = True
    metrics: dict[str, float] = {}


@control_service(REPLICA_SERVICE)
@service("omnitron.replica@1.0.0")
class ReplicaApi(Protocol):
    """Service "omnitron.replica@1" on the replica's own socket."""

    @rpc
    def watch(self) -> AsyncIterator[ReplicaReport]:
        """The present report, then each change."""

    @rpc
    async def ping(self) -> ReplicaStats:
        """Answered from the event loop: the liveness and readiness probe at once."""

    @rpc
    async def directory(self, services: list[ServiceEndpoints]) -> None:
        """Endpoints of the services this replica calls; replaces the earlier ones."""

    @rpc
    async def gone(self, replica: str, incarnation: int, reason: str) -> None:
        """A replica this one may be calling has died, and of what."""

    @rpc
    async def drain(self, timeout: float) -> int:
        """Take no new work, finish what is in flight within `timeout` seconds; calls cut off. Then the process ends."""
