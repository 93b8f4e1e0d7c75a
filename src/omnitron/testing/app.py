"""A system inside a test: its processes in one interpreter and event loop, without daemon, keepers and forks.

    async with running_app("system.py", process="http", overrides={Database: FakeDatabase(), Rates: Stub()}) as app:
        assert await app.service(Market).symbols() == ["BTC-USD"]
        assert (await app.http.get("/symbols")).status_code == 200
        await app.fire("rebuild_5m")

Everything else is real: modules are read, services built and hooks run as in a replica, and a `Remote[T]` is called
over a Unix socket with its arguments and results encoded and checked. What only a real system shows (crashes, restarts,
reloads, limits) is for `RealSystem`.

The surprise: all processes share the interpreter, so its `os.environ` (with what the definition says, for the time of
the block), its working directory (pytest's, not the app's) and its imported modules.
"""

import asyncio
import inspect
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from omnitron.base.clock import Clock, SystemClock
from omnitron.base.errors import DefinitionError, NotFound, OperationError
from omnitron.base.find import find_definition
from omnitron.base.names import suggest
from omnitron.base.rand import Rand, SeededRand
from omnitron.child.definition import read_ecosystem
from omnitron.child.reader import contract
from omnitron.control.replica import ENV_INSTANCE_ID, ENV_STACK
from omnitron.kits.schedule.scheduler import Job, jobs_of
from omnitron.kits.streams.runner import consumers_of
from omnitron.kits.streams.stream import Stream
from omnitron.model.ecosystem import Ecosystem, as_ecosystem
from omnitron.model.system import System
from omnitron.rpc.client import RpcClient
from omnitron.rpc.endpoints import Directory, ServiceRecord, Wanted
from omnitron.testing.feeding import DeadLetter, Feeder
from omnitron.testing.hosted import TEST_STACK, HostedReplica, Stand, record
from omnitron.testing.staging import Part, Staging, stage

T = TypeVar("T")


class RunningApp:
    """What `running_app` gives. clock: the one injected and used by everything but HTTP's own limits."""

    def __init__(self, staging: Staging, folder: Path, clock: Clock, rand: Rand) -> None:
        self.clock = clock
        self._staging, self._folder, self._rand = staging, folder, rand
        self._replicas: dict[str, HostedReplica] = {}
        self._records: list[ServiceRecord] = []
        self._directory = Directory(staging.parts[0].app)
        self._client = RpcClient(self._directory, who="test", rand=rand, clock=clock)
        self._clients: dict[str, Any] = {}
        self._feeder = Feeder(clock)
        self._ends = AsyncExitStack()

    def __repr__(self) -> str:
        return f"<RunningApp {' '.join(self._replicas)}>"

    # -- what is in it

    def service(self, cls: type[T]) -> T:
        """The instance of a service: call its methods directly, look at its attributes."""
        for part in self._staging.parts:
            if cls in part.services:
                found: T = self._replicas[part.target].instance(cls)
                return found
        raise self._not_offered(cls)

    def remote(self, cls: type[T]) -> T:
        """A proxy of a service, as `Remote[T]` is injected: called over a socket, with checked arguments."""
        service: type = cls
        if not self._directory.find(Wanted.parse(str(contract(service)))):
            raise self._not_offered(cls)
        return self._client.proxy(cls)

    @property
    def http(self) -> Any:
        """An `httpx.AsyncClient` of the one process with an HTTP transport."""
        found = [target for target, replica in self._replicas.items() if replica.http_path is not None]
        if len(found) != 1:
            raise NotFound(
                f"Of the processes started, {', '.join(found) if found else 'none'} serve{'' if found else 's'} HTTP.",
                remedy="Name one with app.client(process).",
            )
        return self.client(found[0])

    def client(self, process: str) -> Any:
        """An `httpx.AsyncClient` of a process's HTTP server, which listens on a Unix socket."""
        target = self._staging.find(process).target
        path = self._replicas[target].http_path
        if path is None:
            raise NotFound(f"The process {process} has no HTTP transport.", remedy="Add Transports(http=Http(port=0)).")
        if target not in self._clients:
            self._clients[target] = _http_client(path)
        return self._clients[target]

    # -- what does not run by itself here

    async def fire(self, job: str) -> None:
        """Run a scheduled job once, now, by its name ("market.rebuild" or "rebuild"). Raises what it raises."""
        jobs = [job for replica in self._replicas.values() for job in jobs_of(replica.context.services)]
        found = _named(job, jobs)
        if inspect.iscoroutinefunction(found.call):
            await found.call()
        else:
            await asyncio.to_thread(found.call)

    async def feed(self, stream: Stream[T], items: Sequence[T]) -> list[DeadLetter[T]]:
        """Give the items to all consumers of the stream, in batches of their size; what they gave up as dead letters.

        Raises what a consumer raises, and msgspec.ValidationError for an item the stream's type does not allow.
        """
        services = [service for replica in self._replicas.values() for service in replica.context.services]
        found = [(mark, handler) for mark, handler in consumers_of(services) if mark.stream is stream]
        if not found:
            raise NotFound(f"Nobody started here consumes {stream!r}.", remedy="Start the process that does.")
        return await self._feeder.feed(stream, items, found)

    # -- its life

    async def open(self) -> None:
        """Start stand-ins, then processes in their order: who is called first."""
        for cls, stub in self._staging.remote_overrides.items():
            stand = Stand(cls, stub, self._folder)
            self._ends.push_async_callback(stand.close)
            await stand.open()
            self._records.append(record(self._directory.app, cls, stand.name, stand.path))
        self._ends.push_async_callback(self._client.close)
        for part in self._staging.in_order():
            await self._start(part)

    async def _start(self, part: Part) -> None:
        folder = self._folder / part.app
        folder.mkdir(exist_ok=True)
        replica = HostedReplica(
            part.app, part.system, part.process, part.cwd, folder, part.overrides, self.clock, self._rand
        )
        replica.directory.update(self._records)
        self._replicas[part.target] = replica
        try:
            await replica.open()
        except BaseException:
            del self._replicas[part.target]
            raise
        self._ends.push_async_callback(replica.close)
        overridden = self._staging.remote_overrides
        self._records += [
            record(part.app, cls, str(replica.id), replica.path) for cls in part.services if cls not in overridden
        ]
        for directory in (self._directory, *(other.directory for other in self._replicas.values())):
            directory.update(self._records)

    async def close(self) -> None:
        """Let go of HTTP connections, then drain in the reverse order of starting."""
        for client in self._clients.values():
            await client.aclose()
        await self._ends.aclose()
        await asyncio.sleep(0)  # transports close their sockets in the next turn of the loop

    def _not_offered(self, cls: type) -> NotFound:
        known = [each.__qualname__ for part in self._staging.parts for each in part.services]
        return NotFound(
            f"No process started here offers {cls.__qualname__}, but {', '.join(known) or 'nothing'}."
            f"{suggest(cls.__qualname__, known)}",
            remedy="Start its process too, with processes=[...].",
        )


@asynccontextmanager
async def running_app(
    definition: System | Ecosystem | Path | str,
    process: str | None = None,
    *,
    processes: Sequence[str] = (),
    overrides: Mapping[Any, Any] | None = None,
    clock: Clock | None = None,
    seed: int = 0,
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[RunningApp]:
    """Run processes of a system, or of an ecosystem, inside this test; without a name, all that are Python.

    definition: what `define_system` returned, or the path of the file. process, processes: "http" or "market/http".
    overrides: what is injected instead, by type; for a service called as `Remote[T]`, an object with those of its
    methods that are called. clock: a `FakeClock`, say. seed: of `Rand`. env: environment variables for the block.

    Raises what a real boot would report, and DefinitionError for an override that nobody asks for and for a `Remote[T]`
    that neither a started process nor an override answers.
    """
    ecosystem, folders = _read(definition)
    names = (*([process] if process is not None else []), *processes)
    with tempfile.TemporaryDirectory(prefix="omnitron-") as folder, _importing(folders.values()):
        with _environment(ecosystem, env or {}):
            staging = stage(ecosystem, folders, names, overrides or {})
            app = RunningApp(staging, Path(folder), clock or SystemClock(), SeededRand(seed))
            try:
                await app.open()
                yield app
            finally:
                await app.close()


def _read(definition: System | Ecosystem | Path | str) -> tuple[Ecosystem, dict[str, Path]]:
    if isinstance(definition, Path | str):
        return read_ecosystem(find_definition(definition, Path.cwd()))
    ecosystem = as_ecosystem(definition)
    for app in ecosystem.apps:
        if not isinstance(app.system, System):
            raise DefinitionError(
                f"App {app.name!r} is defined in the file {app.system!r}, and nobody knows from where.",
                remedy="Give running_app the path of the ecosystem's file.",
            )
    return ecosystem, {a.name: Path.cwd() / a.system.cwd for a in ecosystem.apps if isinstance(a.system, System)}


@contextmanager
def _importing(folders: Any) -> Iterator[None]:
    before = list(sys.path)
    sys.path[:0] = [str(folder) for folder in folders if str(folder) not in before]
    try:
        yield
    finally:
        sys.path[:] = before


@contextmanager
def _environment(ecosystem: Ecosystem, env: Mapping[str, str]) -> Iterator[None]:
    """For code that reads os.environ. Processes that want different values of one variable get the last one's."""
    before = dict(os.environ)
    os.environ[ENV_STACK] = TEST_STACK
    for app in ecosystem.apps:
        if isinstance(app.system, System):
            os.environ[ENV_INSTANCE_ID] = f"{app.name}/{app.system.processes[0].name}/0"
            os.environ.update(app.system.env)
            for process in app.system.processes:
                os.environ.update(process.env)
    os.environ.update(env)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _named(name: str, jobs: Sequence[Job]) -> Job:
    found = [job for job in jobs if job.name == name] or [j for j in jobs if j.name.rpartition(".")[2] == name]
    if len(found) == 1:
        return found[0]
    known = [job.name for job in jobs]
    raise NotFound(
        f"{len(found) or 'No'} jobs are named {name!r}, among {', '.join(known) or 'none'}.{suggest(name, known)}",
        remedy="Name one in full.",
    )


def _http_client(path: Path) -> Any:
    try:
        import httpx  # noqa: PLC0415 - an extra
    except ImportError:
        raise OperationError(
            "app.http needs httpx, which is not installed.", remedy='Install it: pip install "omnitron[test]".'
        ) from None
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=str(path), verify=False), base_url="http://app.test"
    )
