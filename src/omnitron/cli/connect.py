"""The CLI's line to the daemon: synchronous, without asyncio, so that a command starts in a blink."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

from omnitron.base.errors import DaemonUnreachable, OperationError, Unavailable
from omnitron.base.home import Home, make_private, unusable
from omnitron.control.daemon import DAEMON_SERVICE, DaemonInfo, Plan, Progress, Status, Why
from omnitron.control.events import Event
from omnitron.control.keeper import ServiceEndpoints
from omnitron.model.facts import Description
from omnitron.rpc.blocking import BlockingClient

T = TypeVar("T")
CALL_TIMEOUT_S: Final = 30.0
START_TIMEOUT_S: Final = 20.0
EXIT_TAKEN: Final = 3  # of a daemon whose home another one has


class Daemon:
    """The daemon's API with plain calls. Streams are iterators without a time limit."""

    def __init__(self, client: BlockingClient) -> None:
        self._client = client

    def _call(self, method: str, result: type[T], *args: Any) -> T:
        found: T = self._client.call(DAEMON_SERVICE, method, *args, result=result)
        return found

    def _progress(self, method: str, *args: Any) -> Iterator[Progress]:
        return self._client.stream(DAEMON_SERVICE, method, *args, result=Progress)

    def ping(self) -> DaemonInfo:
        return self._call("ping", DaemonInfo)

    def status(self, stack: str | None) -> Status:
        return self._call("status", Status, stack)

    def plan(self, description: Description, stack: str | None) -> Plan:
        return self._call("plan", Plan, description, stack)

    def up(self, description: Description, stack: str | None) -> Iterator[Progress]:
        return self._progress("up", description, stack)

    def down(self, stack: str | None, app: str | None, infrastructure: bool) -> Iterator[Progress]:
        return self._progress("down", stack, app, infrastructure)

    def act(self, verb: str, stack: str | None, target: str, *more: Any) -> Iterator[Progress]:
        """verb: start, stop, restart, reload or scale."""
        return self._progress(verb, stack, target, *more)

    def endpoints(self, stack: str | None) -> list[ServiceEndpoints]:
        return self._call("endpoints", list[ServiceEndpoints], stack)

    def env(self, stack: str | None, target: str) -> dict[str, str]:
        return self._call("env", dict[str, str], stack, target)

    def inspect(self, stack: str | None, target: str) -> dict[str, Any]:
        return self._call("inspect", dict[str, Any], stack, target)

    def why(self, stack: str | None, target: str) -> Why:
        return self._call("why", Why, stack, target)

    def events(self, stack: str | None, target: str | None, last: int, follow: bool) -> Iterator[Event]:
        return self._client.stream(DAEMON_SERVICE, "events", stack, target, last, follow, result=Event)

    def shutdown(self, apps: bool) -> None:
        self._call("shutdown", type(None), apps)


@contextmanager
def connect(home: Home | None = None, *, timeout_s: float = CALL_TIMEOUT_S) -> Iterator[Daemon]:
    """The running daemon; DaemonUnreachable (exit code 2) if there is none."""
    home = home or Home.from_env()
    client = BlockingClient(str(home.daemon_socket), timeout_s)
    try:
        client.connect()
    except Unavailable:
        raise DaemonUnreachable(
            f"No daemon answers at {home.daemon_socket}.",
            remedy="`omnitron up` starts it and finds again whatever is still running.",
        ) from None
    try:
        yield Daemon(client)
    finally:
        client.close()


@contextmanager
def connect_or_start(home: Home | None = None) -> Iterator[Daemon]:
    """The running daemon, or a new one."""
    home = home or Home.from_env()
    try:
        with connect(home) as daemon:
            daemon.ping()
    except DaemonUnreachable:
        start_daemon(home)
    with connect(home, timeout_s=CALL_TIMEOUT_S) as daemon:
        yield daemon


def start_daemon(home: Home) -> None:
    """Start a daemon in a session of its own and wait until it answers."""
    make_private(home.root)
    process, offset = _spawn(home)
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            with connect(home) as daemon:
                daemon.ping()
                return
        except DaemonUnreachable:
            ended = process.poll()
        if ended == EXIT_TAKEN:  # by one that another command has started, and then it answers soon, or that is ending
            process, offset = _spawn(home)
        elif ended is not None:
            break
        time.sleep(0.005)
    with open(home.daemon_log, "rb") as log:
        log.seek(offset)
        tail = log.read()[-2000:].decode(errors="replace").strip()
    raise OperationError(
        f"The daemon did not start{f' (exit code {process.poll()})' if process.poll() is not None else ''}. "
        f"Its log {home.daemon_log} ends:\n{tail}",
        remedy="Mend what the log names, then try again; `omnitron doctor` checks the machine.",
    )


def _spawn(home: Home) -> tuple[Any, int]:
    """A new daemon, and where its part of the log begins."""
    import subprocess  # 4 ms that only the command which starts the daemon should pay

    command = [sys.executable, "-m", "omnitron.daemon", "--home", str(home.root)]
    try:
        with open(home.daemon_log, "ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )
            return process, log.tell()
    except OSError as error:
        raise unusable(error, home.root) from None
