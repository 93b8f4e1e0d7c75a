"""`python -m omnitron.child`: a process that becomes the replica OMNITRON_BOOT describes. Also called after a fork."""

import asyncio
import atexit
import contextlib
import faulthandler
import importlib
import os
import signal
import sys
from typing import Final, NoReturn

import msgspec

from omnitron.base.clock import SystemClock
from omnitron.base.errors import OmnitronError
from omnitron.base.log import log_json
from omnitron.base.names import ReplicaId
from omnitron.base.rand import SystemRand
from omnitron.child.reader import contract, read_module
from omnitron.child.replica import HTTP_EDGE, Replica
from omnitron.control.replica import ENV_BOOT, ENV_INCARNATION, ENV_INSTANCE_ID, ENV_STACK, BootSpec
from omnitron.model.process import Process

_PR_SET_PTRACER: Final = 0x59616D61
_ANY: Final = 2**64 - 1
EXIT_FORCED: Final = 75
"""Told to end a second time, in the middle of a drain (EX_TEMPFAIL)."""


def main() -> NoReturn:
    run_replica(msgspec.json.decode(os.environ.pop(ENV_BOOT), type=BootSpec))


def preload(module: str, cwd: str, *, http: bool = True) -> None:
    """Import what a fork will need, and make once what is made slowly the first time: a fork has 10 ms until ready.

    http: whether the process has an HTTP transport. Raises what the import of the module raises.
    """
    _go_to(cwd)
    if http:
        importlib.import_module(HTTP_EDGE).warm()
    msgspec.convert({"name": "process", "module": module}, Process)
    offer = read_module(importlib.import_module(module))
    with contextlib.suppress(OmnitronError):  # the replica will say it, to whom it matters
        for cls in offer.services:
            contract(cls)


def run_replica(boot: BootSpec) -> NoReturn:
    """Be the replica until its end. Functions of `atexit` are run; threads that hang are not waited for."""
    process = msgspec.convert(boot.process, Process)
    os.environ[ENV_INSTANCE_ID] = str(ReplicaId(boot.app, process.name, boot.slot))
    os.environ[ENV_STACK] = boot.stack
    os.environ[ENV_INCARNATION] = str(boot.incarnation)
    _go_to(boot.cwd)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    log_json(sys.stderr)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1, all_threads=True)
    if boot.http_fd is not None or boot.websocket_fd is not None:
        _let_keepers_copy_sockets()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # until user code is imported there is nothing to finish
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    code = loop.run_until_complete(_live(boot, process))
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


async def _live(boot: BootSpec, process: Process) -> int:
    replica = Replica(boot, process, SystemClock(), SystemRand())
    told = 0

    def end() -> None:
        nonlocal told
        told += 1
        if told > 1:
            os._exit(EXIT_FORCED)
        replica.stop()

    def imported() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end)

    return await replica.live(imported)


def _let_keepers_copy_sockets() -> None:
    """After a keeper's death its successor, no ancestor of ours, copies the listening sockets out of this process.

    Where Yama guards processes (kernel.yama.ptrace_scope=1) that needs our consent; same user only, as ever.
    """
    if sys.platform == "linux":
        ctypes = importlib.import_module("ctypes")
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(_ANY), 0, 0, 0)


def _go_to(cwd: str) -> None:
    os.chdir(cwd)
    if cwd not in sys.path:
        sys.path.insert(0, cwd)
