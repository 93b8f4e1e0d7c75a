"""A real keeper in a home of its own, and what tests ask of it."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keeper_apps.worker import Worker

from omnitron.base.home import Home
from omnitron.control.events import Event
from omnitron.control.keeper import AppSpec, AppStatus, KeeperApi, ProcessSpec, ReplicaStatus
from omnitron.logs.read import tail
from omnitron.model.process import Process
from omnitron.model.topology import Topology
from omnitron.rpc.client import connect
from omnitron.rpc.link import Link

APPS = Path(__file__).parent / "keeper_apps"
DEADLINE_S = 15.0


class World:
    """An OMNITRON_HOME with at most one keeper, of app "a" in stack "dev"."""

    def __init__(self, root: Path) -> None:
        self.home = Home(root)
        self.run = self.home.run_dir("dev", "a")
        self.keeper: subprocess.Popen[bytes] | None = None
        self.api: KeeperApi
        self._links: list[Link] = []

    async def start_keeper(self) -> None:
        with (self.home.root / "keeper.log").open("ab") as log:
            self.keeper = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                [sys.executable, "-m", "omnitron.supervise.keeper", "--home", str(self.home.root), "--stack", "dev",
                 "--app", "a"], start_new_session=True, stderr=log,
            )  # fmt: skip
        async with asyncio.timeout(DEADLINE_S):
            while True:
                try:
                    self.api, link = await connect(str(self.run / "keeper.sock"), KeeperApi)  # type: ignore[type-abstract]
                    self._links.append(link)
                    return
                except OSError:
                    assert self.keeper.poll() is None, (self.home.root / "keeper.log").read_text()
                    await asyncio.sleep(0.01)

    def kill_keeper(self) -> None:
        assert self.keeper is not None
        self.keeper.kill()
        self.keeper.wait()

    def spec(self, *processes: ProcessSpec, **more: object) -> AppSpec:
        return AppSpec(
            app="a", stack="dev", version="1", cwd=str(APPS), python=sys.executable, processes=processes,
            log_dir=str(self.home.log_dir("dev", "a")), **more,  # type: ignore[arg-type]
        )  # fmt: skip

    async def until(self, reached: Callable[[AppStatus], bool]) -> AppStatus:
        """The first status that is as wanted."""
        status = await self.api.status()
        try:
            async with asyncio.timeout(DEADLINE_S):
                while not reached(status):
                    await asyncio.sleep(0.01)
                    status = await self.api.status()
        except TimeoutError:
            log = (self.home.root / "keeper.log").read_text()
            raise AssertionError(f"not reached: {status}\n{log[-4000:]}") from None
        return status

    async def ready(self) -> AppStatus:
        return await self.until(lambda status: status.state == "ready")

    async def event(self, kind: str) -> Event:
        """The first event of that kind, past or to come."""
        async with asyncio.timeout(DEADLINE_S):
            async for event in self.api.events(0):
                if event.kind == kind:
                    return event
        raise AssertionError(f"no {kind}")

    async def events(self) -> list[Event]:
        """All so far."""
        found: list[Event] = []
        try:
            async with asyncio.timeout(0.2):
                async for event in self.api.events(0):
                    found.append(event)
        except TimeoutError:
            return found
        return found

    async def call(self, process: str, slot: int, service: type = Worker) -> Any:
        """A proxy of the service at a replica's published address."""
        api, link = await connect(str(self.run / "s" / f"{process}.{slot}"), service, default_deadline_s=DEADLINE_S)
        self._links.append(link)
        return api

    def logged(self, process: str, n: int = 1000) -> list[str]:
        return [record.msg for record in tail(self.home.log_dir("dev", "a"), [process], n)]

    async def until_logged(self, process: str, line: str) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while line not in self.logged(process):  # noqa: ASYNC110 - another process writes it
                await asyncio.sleep(0.02)

    async def until_exists(self, path: Path) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not path.exists():  # noqa: ASYNC110, ASYNC240 - another process makes it
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        if self.keeper is not None and self.keeper.poll() is None:
            await self.api.shutdown(True)
            self.keeper.wait(DEADLINE_S)
        for link in self._links:
            link.finish()


def replicas(status: AppStatus, process: str) -> tuple[ReplicaStatus, ...]:
    return next(p.replicas for p in status.processes if p.name == process)


def pids(status: AppStatus, process: str) -> list[int | None]:
    return [replica.pid for replica in replicas(status, process)]


def sh(name: str, script: str, **more: object) -> ProcessSpec:
    """A process that is a shell script."""
    spec = {key: more.pop(key) for key in ("after", "count", "fingerprint", "want", "env") if key in more}
    process = Process(name=name, command=("/bin/sh", "-c", script), **more)  # type: ignore[arg-type]
    return ProcessSpec(process=process, **{"fingerprint": "1", **spec})  # type: ignore[arg-type]


def alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def worker(name: str, module: str = "worker", **more: object) -> ProcessSpec:
    """A process of our own, exposed, offering the Worker service unless said otherwise."""
    spec = {key: more.pop(key) for key in ("after", "count", "fingerprint", "services", "calls") if key in more}
    process = Process(name=name, module=module, topology=Topology(expose=True), **more)  # type: ignore[arg-type]
    defaults = {"fingerprint": "1", "count": process.instances, "services": (("worker@1.0.0", "Worker"),)}
    return ProcessSpec(process=process, **{**defaults, **spec})  # type: ignore[arg-type]
