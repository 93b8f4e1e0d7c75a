"""Real daemons and keepers in temporary homes, running `sleep`; what is left behind is found by its home and killed."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

from omnitron.base.home import Home
from omnitron.client import ensure_daemon
from omnitron.control.daemon import DaemonApi, Progress
from omnitron.control.keeper import AppStatus
from omnitron.model.ecosystem import App, Ecosystem
from omnitron.model.facts import AppFacts, Description, ProcessFacts
from omnitron.model.process import Process
from omnitron.model.system import System
from omnitron.rpc.link import Link
from omnitron.supervise.processinfo import all_pids, environment_of

DEADLINE_S = 15.0


def sleeper(name: str, *command: str, **fields: Any) -> Process:
    return Process(name=name, command=command or ("sleep", "1000"), **fields)


def app(name: str, *processes: Process, **fields: Any) -> System:
    return System(name=name, version="1.0.0", processes=processes or (sleeper("web"),), **fields)


def described(path: Path, *systems: System, depends_on: dict[str, tuple[str, ...]] | None = None) -> Description:
    """What `describe` would print for a definition file with these apps."""
    apps = tuple(App(name=s.name, system=s, depends_on=(depends_on or {}).get(s.name, ())) for s in systems)
    facts = tuple(
        AppFacts(s.name, s, str(path.parent), tuple(ProcessFacts(process=p.name) for p in s.processes)) for s in systems
    )
    return Description(str(path), sys.executable, Ecosystem(name="test", apps=apps), facts)


class Household:
    """A home, the daemon that runs in it, and one stack of it."""

    def __init__(self, home: Home, project: Path, stack: str = "dev") -> None:
        self.stack = stack
        self.home = home
        self.project = project
        self.daemon: DaemonApi
        self._links: list[Link] = []

    async def connect(self) -> DaemonApi:
        self.daemon, link = await ensure_daemon(self.home)
        self._links.append(link)
        return self.daemon

    async def up(self, *systems: System, stack: str | None = None, **more: Any) -> list[Progress]:
        description = described(self.project / "system.py", *systems, **more)
        return [step async for step in self.daemon.up(description, stack or self.stack)]

    async def apps(self) -> dict[str, AppStatus]:
        stacks = (await self.daemon.status(None)).stacks
        return {app.app: app for stack in stacks if stack.name == self.stack for app in stack.apps}

    async def pids(self) -> dict[str, int]:
        """Replica to pid, of all that live."""
        return {
            replica.replica: replica.pid
            for app in (await self.apps()).values()
            for process in app.processes
            for replica in process.replicas
            if replica.pid is not None
        }

    async def until(self, true: Callable[[], Awaitable[bool]]) -> None:
        """Poll until it is true; the deadline is far beyond what it should take."""
        async with asyncio.timeout(DEADLINE_S):
            while not await true():  # noqa: ASYNC110 - many kinds of truth
                await asyncio.sleep(0.01)

    async def collect(self, steps: AsyncIterator[Progress]) -> list[Progress]:
        return [step async for step in steps]

    async def kinds(self, target: str | None = None) -> list[str]:
        return [e.kind async for e in self.daemon.events(self.stack if target else None, target, 500, False)]

    async def kill_daemon(self) -> int:
        """SIGKILL, and its pid."""
        pid = (await self.daemon.ping()).pid
        os.kill(pid, signal.SIGKILL)
        await self._links[-1].closed
        return pid

    def close(self) -> None:
        for link in self._links:
            link.finish()


def kill_all(root: Path) -> None:
    """Daemon and keepers by their command line, replicas by their environment: all carry the home."""
    for _ in range(3):
        for pid in all_pids():
            if pid != os.getpid() and belongs(pid, root):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


def belongs(pid: int, root: Path) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return str(root).encode() in command or environment_of(pid).get("OMNITRON_HOME") == str(root)
