"""Listening TCP sockets: bound once per process and transport, inherited by every replica, kept over everything.

As long as one process holds the socket, the kernel accepts connections and queues them, so neither a reload nor the
death of all replicas refuses one. When a keeper has died, its successor takes a copy of the descriptor out of a
living replica (`pidfd_getfd`); binding anew beside it would split the queue and strand connections.
"""

import ctypes
import errno
import os
import socket
from collections.abc import Iterable
from typing import Final

from omnitron.base.errors import OperationError

BACKLOG: Final = 2048  # connections waiting to be accepted
_SYS_PIDFD_GETFD: Final = 438


class Listeners:
    """The TCP sockets of one app, by process and transport."""

    def __init__(self) -> None:
        self._sockets: dict[tuple[str, str], socket.socket] = {}

    def get(self, process: str, transport: str) -> socket.socket | None:
        return self._sockets.get((process, transport))

    def ensure(self, process: str, transport: str, host: str, port: int, holders: Iterable[int] = ()) -> None:
        """Have the socket: the one we hold, a copy of one of `holders` (pids of replicas), or a new one."""
        held = self._sockets.get((process, transport))
        if held is not None and held.getsockname()[:2] == (host, port):
            return
        taken = next(filter(None, (take_listener(pid, port) for pid in holders)), None)
        fresh = taken or bind(host, port, f"{process} ({transport})")
        self.close(process, transport)
        self._sockets[process, transport] = fresh

    def close(self, process: str, transport: str) -> None:
        held = self._sockets.pop((process, transport), None)
        if held is not None:
            held.close()

    def close_all(self) -> None:
        for key in list(self._sockets):
            self.close(*key)


def bind(host: str, port: int, what: str) -> socket.socket:
    """A new listening socket. Raises OperationError naming the port and the fix."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise OperationError(
            f"Port {port} on {host} for {what} can not be opened: {_why(error)}.",
            remedy=f"Stop what uses it (`ss -ltnp sport = :{port}` shows it) or declare another port; 0 picks one.",
            details={"host": host, "port": port},
        ) from None
    return listener


def _why(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return "another process is listening on it"
    if error.errno == errno.EACCES:
        return "only root may open ports below 1024"
    return error.strerror or str(error)


def take_listener(pid: int, port: int) -> socket.socket | None:
    """A copy of the listening TCP socket on `port` that process `pid` holds; None if it has none or keeps it."""
    try:
        handle = os.pidfd_open(pid)
        numbers = [int(name) for name in os.listdir(f"/proc/{pid}/fd")]
    except (OSError, AttributeError):
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        for number in numbers:
            if not _is_socket(pid, number):
                continue
            copied = libc.syscall(_SYS_PIDFD_GETFD, handle, number, 0)
            if copied >= 0 and (found := _listener_on(copied, port)) is not None:
                return found
    finally:
        os.close(handle)
    return None


def _is_socket(pid: int, number: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/fd/{number}").startswith("socket:")
    except OSError:
        return False


def _listener_on(descriptor: int, port: int) -> socket.socket | None:
    copy = socket.socket(fileno=descriptor)
    listening = copy.family in (socket.AF_INET, socket.AF_INET6) and copy.getsockopt(
        socket.SOL_SOCKET, socket.SO_ACCEPTCONN
    )
    if listening and copy.getsockname()[1] == port:
        copy.setblocking(False)
        return copy
    copy.close()
    return None
