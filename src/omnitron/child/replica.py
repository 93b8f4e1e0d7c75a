"""A replica's life, from the control socket to the last provider closed.

    control socket -> lease -> import -> graph -> services -> after_create -> start hooks -> warmup -> runners
    -> HTTP -> ready ... drain: HTTP, runners and calls together -> background tasks -> stop hooks -> providers -> end

The control socket comes first, so that the keeper sees what a slow boot is doing; users' services are added to it last,
so that none is called before it is ready.
"""

import asyncio
import importlib
import logging
import os
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

from omnitron.base.clock import Clock
from omnitron.base.errors import InternalError, OmnitronError
from omnitron.base.home import make_private
from omnitron.base.names import ReplicaId
from omnitron.base.rand import Rand
from omnitron.base.tasks import TaskSet
from omnitron.child.assembly import Assembly, Target, assemble, resolve
from omnitron.child.blame import blame
from omnitron.child.board import Board
from omnitron.child.container import Container
from omnitron.child.context import Obituaries, ReplicaContext
from omnitron.child.control import CONTRACT, Control
from omnitron.child.lease import Lease
from omnitron.child.pooled import guard, is_guarded
from omnitron.child.reader import contract, marked
from omnitron.child.readiness import Readiness
from omnitron.control.provide import RUNNERS, ProvideContext
from omnitron.control.replica import ENV_FENCING_TOKEN, BootSpec
from omnitron.model.process import Process
from omnitron.model.shutdown import Shutdown
from omnitron.rpc.client import RpcClient
from omnitron.rpc.endpoints import Directory
from omnitron.rpc.server import RpcServer

log = logging.getLogger("omnitron.replica")
EXIT_FAILED: Final = 70  # EX_SOFTWARE
HOOKS_S: Final = 1.0
"""Of the drain's time, what is kept for the stop hooks; at most half of it."""
REPORT_S: Final = 2.0
"""How long a boot that failed waits for somebody to hear why."""
WATCHED_S: Final = 0.02
"""How long to wait for the keeper to listen before an import blocks the event loop."""
HTTP_EDGE: Final = "omnitron.child.http.build"


class Replica:
    """Make it inside the event loop it lives in. `live` is its whole life; `stop` asks it to end."""

    def __init__(self, boot: BootSpec, process: Process, clock: Clock, rand: Rand) -> None:
        self.boot, self.process = boot, process
        self.id = ReplicaId(boot.app, process.name, boot.slot)
        self.board = Board()
        self.rpc = RpcServer(
            name=str(self.id), concurrency=process.limits.concurrency, queue_limit=process.limits.queue, clock=clock
        )
        self.obituaries = Obituaries()
        self.directory = Directory(boot.app)
        self.client = RpcClient(
            self.directory, who=str(self.id), rand=rand, clock=clock, worker_gone=self.obituaries.worker_gone
        )
        self.context = ReplicaContext(str(self.id), boot.stack, _state_dir(boot), clock=clock, rand=rand)
        self.given: dict[Any, Any] = {
            Clock: clock, Rand: rand, TaskSet: self.context.tasks, ProvideContext: self.context
        }  # fmt: skip
        self.control = Control(self)
        self.readiness: Readiness | None = None
        self.http: Any = None
        self._container: Container | None = None
        self._assembly: Assembly | None = None
        self._runners = AsyncExitStack()
        self._tasks = TaskSet("replica")
        self._main = asyncio.current_task()
        self._booting = True
        self._stop = asyncio.Event()
        self._stop_s = float(Shutdown().timeout)

    def __repr__(self) -> str:
        return f"<Replica {self.id} {self.board.report.phase}>"

    @property
    def ready(self) -> bool:
        return self.board.report.phase == "ready"

    def stop(self, timeout_s: float | None = None) -> None:
        """End: at once if it is booting, else after a drain of at most `timeout_s` seconds."""
        if timeout_s is not None:
            self._stop_s = timeout_s
        if self._stop.is_set():
            return
        self._stop.set()
        if self._booting and self._main is not None:
            self._main.cancel()

    async def live(self, imported: Callable[[], None]) -> int:
        """The exit code. `imported` is called when user code has been imported and signals can be answered."""
        control = socket.socket(fileno=self.boot.control_fd)
        self.rpc.add(CONTRACT, self.control, system=True)
        await self.rpc.serve(control)
        try:
            await self._boot(imported)
            self._booting = False
        except asyncio.CancelledError:
            return await self._give_up()
        except (Exception, SystemExit) as error:
            return await self._fail(error)
        await self._stop.wait()
        await self._drain()
        return 0

    # -- boot

    async def _boot(self, imported: Callable[[], None]) -> None:
        if self.boot.lease_path is not None:
            await self._take_lease(Path(self.boot.lease_path))
        self.board.set("importing", self.process.module or self.process.asgi or "")
        if (self.process.module or "") not in sys.modules:
            await self.board.seen(WATCHED_S)
        self._assembly = assembly = assemble(self.process, self.given)
        imported()
        self._container = container = Container(assembly.graph, self.context, self.given, self.client.proxy)
        await container.open(self._built)
        await self._hooks((assembly.after_create,), "after_create")
        await self._hooks(assembly.start, "start hook")
        await self._hooks(assembly.warmup, "warmup")
        await self._enter_runners(assembly)
        for cls in assembly.offer.services:
            self.rpc.add(contract(cls), container[cls])
        await self._open_http(assembly, container)
        self.readiness = Readiness(self.process.health, self._ask_readiness(assembly), self.board)
        await self.readiness.begin(self._tasks)

    def _built(self, service: object) -> None:
        if is_guarded(self.boot, self.process):
            guard(service)
        self.context.services.append(service)

    async def _take_lease(self, path: Path) -> None:
        lease = Lease(path)
        if not lease.take():
            self.board.set("waiting", f"for the lease {path.name}, which another process holds")
            await lease.wait()
        os.environ[ENV_FENCING_TOKEN] = str(lease.token)
        log.info("lease taken", extra={"token": lease.token})

    async def _hooks(self, targets: tuple[Target | None, ...], what: str) -> None:
        for number, target in enumerate(targets, 1):
            if target is not None:
                self.board.set("warming", f"{what} {target.ref} ({number} of {len(targets)})")
                await self._call(target)

    async def _call(self, target: Target, **options: Any) -> Any:
        assert self._container is not None
        bound = () if target.owner is None else (self._container[target.owner],)
        return await self._container.call(target.function, *bound, **options)

    async def _enter_runners(self, assembly: Assembly) -> None:
        assert self._container is not None
        for attribute, ref in RUNNERS.items():
            if any(marked(cls, attribute) for cls in assembly.offer.services):
                self.board.set("warming", ref)
                await self._container.enter(_class(ref), self._runners)

    async def _open_http(self, assembly: Assembly, container: Container) -> None:
        http = self.process.transports.http
        if http is None:
            return
        if self.boot.http_fd is None:
            raise InternalError("The process has an HTTP transport, and the keeper handed no socket down for it.")
        build: Any = importlib.import_module(HTTP_EDGE)
        sock = socket.socket(fileno=self.boot.http_fd)
        if self.process.asgi is not None:
            self.http = build.build_asgi(resolve(self.process.asgi).function, http, sock)
        else:
            self.http = build.build_edge(
                http, sock, self.rpc, assembly, container,
                ready=lambda: self.ready, clock=self.context.clock, rand=self.context.rand, dev=self.boot.dev,
            )  # fmt: skip
        await self.http.start()

    def _ask_readiness(self, assembly: Assembly) -> Callable[[], Awaitable[Any]] | None:
        target = assembly.readiness
        return None if target is None else lambda: self._call(target, threads=self.rpc.threads())

    # -- end

    async def _give_up(self) -> int:
        """Told to stop while booting."""
        if self._main is not None:
            self._main.uncancel()
        self.board.set("draining", "told to stop while it was booting")
        await self._close()
        await self.control.drained(0)
        await self.rpc.close()
        return 0

    async def _fail(self, error: BaseException) -> int:
        message, trace = blame(error, Path(self.boot.cwd))
        if isinstance(error, OmnitronError) and error.remedy:
            message = f"{message} {error.remedy}"
        self.board.set("failed", message, trace)
        await self._close()
        await self.board.seen(REPORT_S)
        await self.rpc.close()
        return EXIT_FAILED

    async def _drain(self) -> None:
        if self.readiness is not None:
            self.readiness.end()
        self.board.set("draining")
        calls_s = max(self._stop_s - HOOKS_S, self._stop_s / 2)
        calls = self._tasks.start(self.rpc.drain(calls_s), "drain of calls")
        requests = None if self.http is None else self._tasks.start(self.http.drain(calls_s), "drain of requests")
        try:
            async with asyncio.timeout(calls_s):
                await self._runners.aclose()
        except TimeoutError:
            log.warning("jobs and consumers did not end in time")
        report = await calls
        cut = report.cancelled + (await requests if requests is not None else 0)
        await self.context.tasks.close()
        if self._assembly is not None:
            for target in (self._assembly.before_stop, *self._assembly.stop):
                await self._last_call(target)
        await self._close()
        await self.control.drained(cut)
        await self.rpc.close()

    async def _last_call(self, target: Target | None) -> None:
        """A hook that fails on the way out keeps nothing from ending."""
        if target is None:
            return
        try:
            await self._call(target)
        except Exception as error:
            log.error("%s failed: %s", target.ref, error, exc_info=error)

    async def _close(self) -> None:
        steps: list[Callable[[], Awaitable[Any]]] = [self._runners.aclose, self.context.tasks.close]
        if self.http is not None:
            steps.append(self.http.close)
        if self._container is not None:
            steps.append(self._container.close)
        for step in (*steps, self.client.close, self._tasks.close):
            try:
                await step()
            except Exception as error:
                log.error("%s failed: %s", getattr(step, "__qualname__", step), error, exc_info=error)


def _class(ref: str) -> type:
    """Of Omnitron's own, named in RUNNERS."""
    module, _, name = ref.partition(":")
    found: type = getattr(importlib.import_module(module), name)
    return found


def _state_dir(boot: BootSpec) -> Path:
    """Beside the keeper's socket; where there is no keeper, in the temporary directory."""
    if boot.keeper_socket:
        return make_private(Path(boot.keeper_socket).parent / "state")
    return make_private(Path(tempfile.gettempdir()) / f"omnitron-{os.geteuid()}" / boot.stack / boot.app / "state")
