"""The door to keepers: find the living one at its socket, or start one in a session of its own."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from omnitron.base.clock import Clock
from omnitron.base.errors import CallError, OperationError
from omnitron.base.home import Home, make_private
from omnitron.control.keeper import KeeperApi
from omnitron.rpc.client import connect
from omnitron.rpc.link import Link
from omnitron.supervise.processinfo import is_alive

MODULE: Final = "omnitron.supervise.keeper"
DIAL_TIMEOUT_S: Final = 2.0  # a keeper that lives answers at once
START_TIMEOUT_S: Final = 20.0  # until a new keeper listens
MAX_KILLED: Final = 2  # times a new keeper may be killed by a signal before it listens, and be started again at once
DIAL_EVERY_S: Final = 0.005
LONG_S: Final = 24 * 3600.0  # of calls that end when something is ready or stopped; their callers bound them
LOG_TAIL: Final = 2_000  # bytes of a keeper's log in an error


class Keeper:
    """A keeper that answers. api: to call it. link: `link.closed` is done when it is gone."""

    def __init__(self, api: KeeperApi, link: Link) -> None:
        self.api = api
        self.link = link

    @property
    def gone(self) -> bool:
        return self.link.closed.done()


class Keepers:
    """ours: whether the home is still that of this daemon; if not, it has no business with what is there."""

    def __init__(self, home: Home, clock: Clock, ours: Callable[[], bool]) -> None:
        self._home = home
        self._clock = clock
        self._ours = ours
        self._children: dict[tuple[str, str], subprocess.Popen[bytes]] = {}

    async def find(self, stack: str, app: str) -> Keeper | None:
        """The living keeper of the app; None if nobody answers at its socket."""
        path = self._home.keeper_socket(stack, app)
        if not self._ours():
            return None
        try:
            api, link = await self._connect(str(path))
        except (OSError, CallError):
            return None
        self._reap(stack, app)
        return Keeper(api, link)

    async def _connect(self, path: str) -> tuple[KeeperApi, Link]:
        options = {"who": "daemon", "clock": self._clock, "timeout_s": DIAL_TIMEOUT_S, "default_deadline_s": LONG_S}
        return await connect(path, KeeperApi, **options)  # type: ignore[type-abstract, arg-type]

    async def start(self, stack: str, app: str) -> Keeper:
        """A new keeper, once it listens. It adopts by itself what a dead one left. Raises OperationError."""
        if not self._ours():
            raise OperationError(f"The home {self._home.root} was removed.", remedy="Start a new daemon in a new home.")
        make_private(self._home.run_dir(stack, app))
        log = self._home.keeper_log(stack, app)
        make_private(log.parent)
        child, killed = self._spawn(stack, app, log), 0
        deadline = self._clock.monotonic() + START_TIMEOUT_S
        while self._clock.monotonic() < deadline:
            if (keeper := await self.find(stack, app)) is not None:
                return keeper
            if (child.poll() or 0) < 0 and killed < MAX_KILLED:
                child, killed = self._spawn(stack, app, log), killed + 1
            elif child.poll() is not None:
                raise _not_started(app, f"ended with exit code {child.returncode}", log)
            await asyncio.sleep(DIAL_EVERY_S)
        child.kill()
        child.wait()
        raise _not_started(app, f"did not listen within {START_TIMEOUT_S:g} s", log)

    def _spawn(self, stack: str, app: str, log: Path) -> subprocess.Popen[bytes]:
        self._reap(stack, app)
        command = [sys.executable, "-m", MODULE, "--home", str(self._home.root), "--stack", stack, "--app", app]
        with open(log, "ab") as output:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, cwd="/"
            )
        self._children[stack, app] = child
        return child

    def _reap(self, stack: str, app: str) -> None:
        """Forget a child that has ended, so that it is no zombie."""
        child = self._children.get((stack, app))
        if child is not None and child.poll() is not None:
            del self._children[stack, app]

    async def ended(self, stack: str, app: str, pid: int, identity: str) -> None:
        """Wait until the keeper's process is gone, so that its lock is free. The caller bounds the wait."""
        while is_alive(pid, identity):  # noqa: ASYNC110 - not always a child of ours, so nobody tells us
            await asyncio.sleep(DIAL_EVERY_S)
        self._reap(stack, app)


def _not_started(app: str, what: str, log: Path) -> OperationError:
    with open(log, "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_TAIL))
        tail = file.read().decode(errors="replace").strip()
    return OperationError(
        f"The keeper of app {app!r} {what}. Its log {log} ends:\n{tail}", remedy="Mend what the log names."
    )
