"""Reaching the daemon. The command line has a synchronous twin of this (cli.connect), for a quicker start."""

import asyncio
import os
import subprocess
import sys
from typing import Final, TypeAlias

from omnitron.base.clock import SystemClock
from omnitron.base.errors import DaemonUnreachable, OperationError
from omnitron.base.home import Home, make_private
from omnitron.control.daemon import DaemonApi
from omnitron.rpc.client import connect
from omnitron.rpc.link import Link

DIAL_TIMEOUT_S: Final = 2.0
DIAL_EVERY_S: Final = 0.005
START_TIMEOUT_S: Final = 20.0
LOG_TAIL: Final = 2_000  # bytes of the log in an error
ALREADY_RUNS: Final = 3  # the daemon's exit code when another one has the home
LONG_S: Final = 24 * 3600.0  # calls take as long as what they wait for

Daemon: TypeAlias = tuple[DaemonApi, Link]


async def connect_daemon(home: Home) -> Daemon:
    """The running daemon and the link to it; close it with `link.finish()`. Raises DaemonUnreachable."""
    options = {"who": "client", "timeout_s": DIAL_TIMEOUT_S, "default_deadline_s": LONG_S}
    try:
        return await connect(str(home.daemon_socket), DaemonApi, **options)  # type: ignore[type-abstract, arg-type]
    except OSError as error:
        raise DaemonUnreachable(
            f"No daemon answers at {home.daemon_socket} ({error.strerror or error}).",
            remedy="`omnitron up` starts it and finds again whatever is still running.",
        ) from None


async def ensure_daemon(home: Home) -> Daemon:
    """The running daemon, or a new one once it answers. Raises OperationError with the end of its log."""
    try:
        return await connect_daemon(home)
    except DaemonUnreachable:
        return await start_daemon(home)


async def start_daemon(home: Home) -> Daemon:
    """Start a daemon in a session of its own and wait until it answers.

    If another one won the race, ours ends and theirs answers. Raises OperationError.
    """
    make_private(home.root)
    clock = SystemClock()
    child, offset = _spawn(home)
    deadline = clock.monotonic() + START_TIMEOUT_S
    while clock.monotonic() < deadline and child.poll() in (None, ALREADY_RUNS):
        try:
            daemon = await connect_daemon(home)
        except DaemonUnreachable:
            await asyncio.sleep(DIAL_EVERY_S)
        else:
            child.returncode = child.returncode or 0  # it outlives us on purpose: Popen must not warn of that
            return daemon
    how = f"it ended with exit code {child.returncode}" if child.returncode is not None else "it does not answer"
    if child.returncode is None:
        child.kill()
        child.wait()
    raise OperationError(
        f"The daemon did not start: {how}. Its log {home.daemon_log} ends:\n{_log_since(home, offset)}",
        remedy="Mend what the log names, then try again; `omnitron doctor` checks the machine.",
    )


def _spawn(home: Home) -> tuple[subprocess.Popen[bytes], int]:
    """The process, and where in the log its output begins."""
    with open(home.daemon_log, "ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "omnitron.daemon", "--home", str(home.root)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
        )  # fmt: skip
        return child, log.tell()


def _log_since(home: Home, offset: int) -> str:
    with open(home.daemon_log, "rb") as log:
        log.seek(max(offset, os.fstat(log.fileno()).st_size - LOG_TAIL))
        return log.read().decode(errors="replace").strip()
