"""The server of a replica: services on Unix sockets, with a bound on what runs, and an end that loses nothing."""

import asyncio
import logging
import socket
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, Final

import msgspec

from omnitron.base.clock import Clock, SystemClock
from omnitron.base.errors import Cancelled, DefinitionError
from omnitron.rpc.admission import Gate
from omnitron.rpc.connection import Connection
from omnitron.rpc.contract import ServiceContract
from omnitron.rpc.moved import Moved
from omnitron.rpc.runner import Runner
from omnitron.rpc.running import Call, run_calls
from omnitron.rpc.served import Interceptor, MethodStats, Served, serve_method
from omnitron.wire.envelope import MAX_METHODS, Hello, Offer
from omnitron.wire.frames import GOAWAY, MAX_FRAME_BYTES, frame

log = logging.getLogger("omnitron.rpc")
CONCURRENCY: Final = 64
QUEUE_LIMIT: Final = 256
STREAM_LIMIT: Final = 1024
BACKLOG: Final = 1024
SWEEP_S: Final = 0.025
"""Deadlines are kept to this precision: one timer for all calls instead of one each."""
GOAWAY_ACK_S: Final = 1.0
"""How long a drain waits for clients to confirm that they call no more."""
STREAM_GRACE_S: Final = 1.0
"""How long a drain lets streams end by themselves."""


class DrainReport(msgspec.Struct, frozen=True):
    """finished: calls that ended by themselves during the drain. cancelled: those that had to be. moved: streams."""

    finished: int
    cancelled: int
    moved: int


class ServerStats(msgspec.Struct, frozen=True):
    """Now: in_flight (without system calls), queued, streams. Since the start: finished, failed, refused, by method."""

    in_flight: int
    queued: int
    streams: int
    finished: int
    failed: int
    refused: int
    mean_s: float
    by_method: Mapping[str, MethodStats]


class RpcServer:
    """Made inside the event loop it serves in.

    concurrency: calls that run at once. queue_limit: calls that wait. stream_limit: streams open at once.
    """

    def __init__(
        self,
        *,
        name: str = "",
        concurrency: int = CONCURRENCY,
        queue_limit: int = QUEUE_LIMIT,
        stream_limit: int = STREAM_LIMIT,
        clock: Clock | None = None,
        interceptors: Sequence[Interceptor] = (),
        max_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> None:
        self.name = name
        self.clock: Clock = clock or SystemClock()
        self.interceptors = tuple(interceptors)
        self.methods: list[Served] = []
        self.connections: set[Connection] = set()
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.runner = Runner(self.loop, self.clock, run_calls)
        self.draining = self.closed_to_calls = False
        self._max_frame_bytes = max_frame_bytes
        self._gate: Gate[Call] = Gate(f"The replica {name}".rstrip(), concurrency, queue_limit)
        self._streams: Gate[Call] = Gate(f"The streams of the replica {name}".rstrip(), stream_limit, 0)
        self._offers: dict[tuple[str, str], Offer] = {}
        self._servers: list[asyncio.Server] = []
        self._threads: ThreadPoolExecutor | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._progress = asyncio.Event()
        self._refused = 0

    # -- what is served

    def add(self, contract: ServiceContract, instance: object, *, system: bool = False) -> None:
        """Offer a service. system: control calls, which no bound and no drain holds up.

        May be called while serving. Raises DefinitionError if it is offered already or not wholly implemented.
        """
        key = (contract.name, contract.version)
        if key in self._offers:
            raise DefinitionError(f"The service {contract} is offered twice.", remedy="Offer another version of it.")
        if len(self.methods) + len(contract.methods) > MAX_METHODS:
            raise DefinitionError(f"More than {MAX_METHODS} methods are offered.", remedy="Split the process.")
        served = [
            serve_method(
                contract,
                method,
                instance,
                self._gate,
                self._streams,
                system=system,
                intercepted=bool(self.interceptors),
            )
            for method in contract.methods.values()
        ]
        self._offers[key] = Offer(contract.name, contract.version, len(self.methods), tuple(contract.methods))
        self.methods.extend(served)
        for connection in self.connections:
            connection.say_hello()

    def hello(self) -> Hello:
        return Hello(who=self.name, offers=tuple(self._offers.values()))

    async def serve(self, sock: socket.socket) -> None:
        """Accept on a Unix socket that listens already, and return. May be called for several."""
        # Since 3.13 asyncio would unlink the path on close; it belongs to whoever made it.
        options: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
        server = await self.loop.create_unix_server(
            lambda: Connection(self, self._max_frame_bytes), sock=sock, backlog=BACKLOG, **options
        )
        self._servers.append(server)

    @property
    def stats(self) -> ServerStats:
        return ServerStats(
            in_flight=self._gate.running,
            queued=len(self._gate.waiting),
            streams=self._streams.running,
            finished=self._finished(),
            failed=sum(served.stats.failed for served in self.methods if not served.system),
            refused=self._refused,
            mean_s=self._gate.mean_s,
            by_method={served.contract.title: served.stats for served in self.methods},
        )

    # -- what running calls and connections need

    def threads(self) -> Executor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._gate.limit, thread_name_prefix="omnitron-rpc")
        return self._threads

    def refused(self) -> None:
        self._refused += 1

    def progress(self) -> None:
        self._progress.set()

    def watch(self) -> None:
        if self._sweeper is None:
            self._sweeper = self.loop.call_later(SWEEP_S, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now, more = self.clock.monotonic(), False
        for connection in self.connections:
            for call in list(connection.calls.values()):
                if (deadline := call.context.deadline) is not None:
                    more = True
                    if deadline <= now:
                        call.stop(call.expired())
        if more:
            self.watch()

    # -- its end

    async def drain(self, timeout_s: float) -> DrainReport:
        """Ask clients to call elsewhere, let what runs finish, cancel what does not within `timeout_s` seconds.

        Streams are told to move on. System calls stay possible until `close`.
        """
        end = self.clock.monotonic() + timeout_s
        self._stop_listening()
        self.draining, before = True, self._finished()
        for connection in self.connections:
            connection.send(frame(GOAWAY))
        await self._until(lambda: not self._in_flight(stream=True), STREAM_GRACE_S, end)
        moved = self._stop(Moved("The replica that feeds the stream stops.", remedy="Begin it again."), stream=True)
        await self._until(self._clients_gone, GOAWAY_ACK_S, end)
        await self._until(lambda: not self._in_flight(stream=False), timeout_s, end)
        self.closed_to_calls = True
        ended = self._finished() - before
        stopped = Cancelled(
            f"The replica {self.name} stopped before the call had finished.".replace("  ", " "),
            remedy="Give the drain more time, or make the method idempotent so that it is tried elsewhere.",
            details={"by": "drain"},
        )
        cancelled = self._stop(stopped, stream=False)
        for connection in list(self.connections):
            connection.flush()
        return DrainReport(max(0, ended - moved), cancelled, moved)

    def _finished(self) -> int:
        return sum(served.stats.calls for served in self.methods if not served.system)

    def _clients_gone(self) -> bool:
        return all(connection.done_calling or not connection.used for connection in self.connections)

    async def _until(self, done: Any, patience_s: float, end: float) -> None:
        end = min(end, self.clock.monotonic() + patience_s)
        while not done() and (left := end - self.clock.monotonic()) > 0:
            self._progress.clear()
            try:
                await asyncio.wait_for(self._progress.wait(), left)
            except TimeoutError:
                return

    def _in_flight(self, *, stream: bool) -> list[Call]:
        return [
            call
            for connection in self.connections
            for call in connection.calls.values()
            if call.method.contract.stream is stream and not call.method.system
        ]

    def _stop(self, error: Moved | Cancelled, *, stream: bool) -> int:
        calls = self._in_flight(stream=stream)
        for call in calls:
            call.stop(error)
        return len(calls)

    def _stop_listening(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def close(self) -> None:
        """End at once: cancel what still runs, system calls too, and close all connections."""
        self.closed_to_calls = True
        self._stop_listening()
        tasks = []
        for connection in list(self.connections):
            for call in list(connection.calls.values()):
                call.stop(Cancelled(f"The replica {self.name} stopped.".replace("  ", " "), details={"by": "close"}))
                if call.task is not None and call.task is not asyncio.current_task():
                    tasks.append(call.task)
            connection.finish()
        if tasks:
            await asyncio.wait(tasks, timeout=GOAWAY_ACK_S)
        self.runner.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
