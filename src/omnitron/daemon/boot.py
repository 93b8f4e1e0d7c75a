"""Puts the daemon together and runs it: `python -m omnitron.daemon --home H [--foreground]`.

One daemon per home, by a lock that the kernel takes back however the daemon ends. The socket is opened when the living
keepers have been found, so the first answer is about what really runs.
"""

import argparse
import asyncio
import fcntl
import functools
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

import msgspec

from omnitron import __version__
from omnitron.base.clock import SystemClock
from omnitron.base.errors import OmnitronError, Refused
from omnitron.base.home import Home, make_private, still_there, unusable, write_atomic
from omnitron.base.log import JsonFormatter
from omnitron.base.rand import SystemRand
from omnitron.control.daemon import DaemonApi, DaemonInfo
from omnitron.daemon.api import Api
from omnitron.daemon.desired import DesiredState
from omnitron.daemon.infra_record import infra_records
from omnitron.daemon.journal import Journal
from omnitron.daemon.keepers import Keepers
from omnitron.daemon.recover import recovered
from omnitron.daemon.stack_task import Doors
from omnitron.daemon.supervisor import Supervisor
from omnitron.rpc.contract import contract_of
from omnitron.rpc.server import RpcServer
from omnitron.store.store import Store, open_store

log = logging.getLogger("omnitron.daemon")
EXIT_FAILED: Final = 1
EXIT_REFUSED: Final = 3
LOOK_EVERY_S: Final = 5.0  # whether the home is still there
DRAIN_S: Final = 1.0  # for answers on their way when the daemon ends
BACKLOG: Final = 128
MAX_LOG: Final = 10 * 2**20  # bytes of daemon.log before it is put aside
OLD_LOGS: Final = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0, 1 if it can not run, 3 if another daemon has this home."""
    parser = argparse.ArgumentParser(prog="omnitron.daemon")
    parser.add_argument("--home", required=True)
    parser.add_argument("--foreground", action="store_true", help="log for people, to the terminal")
    options = parser.parse_args(argv)
    home = Home(options.home)
    try:
        make_private(home.root)
        lock = take_lock(home)
        _start_log(home, options.foreground)
        asyncio.run(serve(home, functools.partial(still_there, lock, home.daemon_lock)))
    except OmnitronError as error:
        print(f"omnitron daemon: {error}", file=sys.stderr)
        return EXIT_REFUSED if isinstance(error, Refused) else EXIT_FAILED
    except OSError as error:
        print(f"omnitron daemon: {unusable(error, home.root)}", file=sys.stderr)
        return EXIT_FAILED
    return 0  # the lock is let go of by our very end: who gets it may count on that


def take_lock(home: Home) -> int:
    """The descriptor that holds the home's lock. Raises Refused with the pid of the daemon that has it."""
    descriptor = os.open(home.daemon_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(descriptor, 32, 0).decode(errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise Refused(
            f"A daemon already runs for {home.root}, with pid {pid}.",
            remedy="Use it, or end it with `omnitron kill`.",
            details={"pid": pid},
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _start_log(home: Home, foreground: bool) -> None:
    if foreground:
        logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    else:
        handler = RotatingFileHandler(home.daemon_log, maxBytes=MAX_LOG, backupCount=OLD_LOGS)
        handler.setFormatter(JsonFormatter())
        logging.basicConfig(level=logging.INFO, handlers=[handler])


async def serve(home: Home, ours: Callable[[], bool]) -> None:
    """Run until told to stop by SIGTERM, SIGINT or `shutdown`. What is supervised runs on.

    ours: whether the home is still there; when it is not, the keepers stop their apps, and we end too.
    """
    clock, stopped = SystemClock(), asyncio.Event()
    store = open_store(home.store, clock)
    try:
        supervisor = _supervisor(home, store, clock, ours)
        info = DaemonInfo(
            pid=os.getpid(), version=__version__, home=str(home.root), since=clock.now(), python=sys.executable
        )
        server = RpcServer(name="daemon")
        server.add(contract_of(DaemonApi), Api(supervisor, info, stopped.set))
        await supervisor.resume()
        await server.serve(listening(home.daemon_socket))
        try:
            write_atomic(home.daemon_info, msgspec.json.format(msgspec.json.encode(info)))
        except OSError as error:  # for people only
            log.warning("%s", unusable(error, home.root))
        log.info("daemon %d serves %s", info.pid, home.root)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        await _until(stopped, ours)
        if ours():
            log.info("daemon %d ends; what it supervises runs on", info.pid)
            home.daemon_info.unlink(missing_ok=True)
            home.daemon_socket.unlink(missing_ok=True)
        else:
            log.error("daemon %d ends, since its home %s was removed", info.pid, home.root)
        await server.drain(DRAIN_S)
        await server.close()
        await supervisor.close()
    finally:
        store.close()


async def _until(stopped: asyncio.Event, ours: Callable[[], bool]) -> None:
    while ours() and not stopped.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S):
                await stopped.wait()


def _supervisor(home: Home, store: Store, clock: SystemClock, ours: Callable[[], bool]) -> Supervisor:
    journal = Journal(store, clock)
    records, claims = ([], []) if store.desired() else recovered(home, infra_records(store.secrets()))
    if store.moved is not None or records:
        store.save(put=records, claims=claims)
        names = ", ".join(f"{r.spec.stack}/{r.spec.app}" for r in records) or "nothing"
        what = f"was damaged and is now {store.moved.name}" if store.moved else "was gone"
        journal.tell(
            "", "daemon", "store.rebuilt", f"the store {what}; rebuilt from what keepers run: {names}", "error"
        )
    keepers = Keepers(home, clock, ours)
    return Supervisor(Doors(home, clock, SystemRand(), keepers, journal, DesiredState(store)))


def listening(path: Path) -> socket.socket:
    """A listening Unix socket for this user only. A socket left by a dead daemon is replaced: we hold the lock."""
    make_private(path.parent)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener
