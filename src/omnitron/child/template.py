"""A template: imports one module, then forks a replica from itself whenever the keeper says so.

It forks twice, the one between ends at once, so that the replica becomes a child of the keeper (a subreaper) and its
exit status reaches the keeper. Everything a replica must not share is made after the fork: session, output, random
state, environment, and in `run_replica` event loop and connections. `gc.freeze` moves what the import made out of the
collector's sight, so that a collection in a replica does not touch, and so copy, the pages it shares with the others.
"""

import gc
import os
import random
import resource
import socket
import sys
import threading
import traceback

import msgspec

from omnitron.child.boot import preload, run_replica
from omnitron.control.replica import BootSpec
from omnitron.control.template import (
    ENV_TEMPLATE,
    MAX_DESCRIPTORS,
    MAX_MESSAGE,
    Fork,
    Forked,
    Loaded,
    TemplateStart,
)  # fmt: skip
from omnitron.model.scaling import Limits


def main() -> int:
    """The exit code: of the template, or of the replica this process has become."""
    start = msgspec.json.decode(os.environ.pop(ENV_TEMPLATE), type=TemplateStart)
    channel = socket.socket(fileno=start.channel)
    channel.set_inheritable(False)
    gc.disable()
    try:
        preload(start.module, start.cwd, http=start.http)
    except BaseException:  # whatever a module does at import, the keeper must hear of it
        channel.send(msgspec.json.encode(Loaded(error=traceback.format_exc()[-MAX_MESSAGE // 8 :])))
        return 1
    threads = _threads()
    channel.send(msgspec.json.encode(Loaded(threads=threads)))
    if threads > 1:
        return 1
    gc.collect()
    gc.freeze()
    boot = _serve(channel)
    return 0 if boot is None else run_replica(boot)


def _threads() -> int:
    """Those of the operating system: a library's own threads are unknown to `threading`."""
    try:
        return len(os.listdir("/proc/self/task"))
    except FileNotFoundError:
        return threading.active_count()


def _serve(channel: socket.socket) -> BootSpec | None:
    """Fork on orders. None in the template when the keeper has gone, the boot message in a replica."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, MAX_MESSAGE, MAX_DESCRIPTORS)
        if not message:
            return None
        order = msgspec.json.decode(message, type=Fork)
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            between = os.fork()
            if between == 0 and _is_replica(channel):
                return _become_replica(channel, order, descriptors)
        except OSError as error:
            channel.send(msgspec.json.encode(Forked(error=str(error))))
        else:
            os.waitpid(between, 0)
        for descriptor in descriptors:
            os.close(descriptor)


def _is_replica(channel: socket.socket) -> bool:
    """Fork once more. True in the replica; the process between tells its pid and ends here."""
    code = 0
    try:
        pid = os.fork()
        if pid == 0:
            return True
        channel.send(msgspec.json.encode(Forked(pid=pid)))
    except OSError as error:
        channel.send(msgspec.json.encode(Forked(error=str(error))))
        code = 1
    os._exit(code)


def _become_replica(channel: socket.socket, order: Fork, descriptors: list[int]) -> BootSpec:
    channel.close()
    os.setsid()
    stdout, stderr, *kept = descriptors
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    os.close(stdout)
    os.close(stderr)
    for descriptor in kept:
        os.set_inheritable(descriptor, False)
    os.environ.clear()
    os.environ.update(order.env)
    _limit_self(msgspec.convert(order.boot.process["limits"], Limits))
    random.seed()
    if (numpy_random := sys.modules.get("numpy.random")) is not None:
        numpy_random.seed()
    gc.enable()
    numbers = {f"{name}_fd": number for name, number in zip(("control", *order.transports), kept, strict=True)}
    return msgspec.structs.replace(order.boot, **numbers)


def _limit_self(limits: Limits) -> None:
    """The limits a spawned replica is started with."""
    wanted = (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
    )
    for which, value in wanted:
        if value is not None:
            resource.setrlimit(which, (int(value), int(value)))


if __name__ == "__main__":
    sys.exit(main())
