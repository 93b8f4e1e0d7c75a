"""The door to operating system processes: start, signal, and learn of the end. Nothing else here makes a process.

Every process started is the leader of a session, and so of a process group, of its own: signals go to the group, and
an end is over when the group is empty. The keeper is a child subreaper, so what a dead replica leaves behind becomes
the keeper's child: it is reaped here, and found even if it has made itself a session of its own.

Exits of own children are told by SIGCHLD. Adopted processes, children of a keeper that is dead, are watched through a
pidfd, or by asking every second where there is none; their exit status nobody can know.
"""

import asyncio
import ctypes
import logging
import os
import pwd
import signal
import subprocess
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

from omnitron.base.errors import OperationError
from omnitron.model.scaling import Limits
from omnitron.model.state import ExitStatus
from omnitron.supervise.processinfo import LINUX, children_of, group_members, read_stat

log = logging.getLogger("omnitron.spawn")

_PR_SET_CHILD_SUBREAPER: Final = 36
_ASK_EVERY_S: Final = 1.0  # whether an adopted process lives, where there are no pidfds
_UNCLAIMED: Final = 64  # exit statuses kept of forked replicas whose pid has not been told to us yet

Ended = Callable[[ExitStatus], None]


class Launch(msgspec.Struct, frozen=True):
    """What to start. stdout, stderr: descriptors, None is nowhere. inherit: those to keep, under the same numbers.

    user: whom to become; needs root.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    stdout: int | None = None
    stderr: int | None = None
    inherit: tuple[int, ...] = ()
    user: str | None = None
    limits: Limits = Limits()


class Spawner(Protocol):
    def start(self, launch: Launch) -> int:
        """The pid of the new process. Raises OperationError saying why it can not run."""
        ...

    def watch(self, pid: int, ended: Ended, *, adopted: bool = False) -> None:
        """Call `ended` once, when the process has ended. adopted: it is no child of ours.

        A replica forked by a template is, or becomes so in a moment, when the process between the two has ended.
        """
        ...

    def signal(self, pgid: int, number: int) -> bool:
        """Signal the group; False if nothing of it is left."""
        ...

    def signal_one(self, pid: int, number: int) -> None:
        """Signal a single process, if it lives."""
        ...

    def on_reaped(self, told: Callable[[], None]) -> None:
        """Call `told` whenever a process ended, so that groups can be looked at again."""
        ...

    def members(self, pgid: int) -> list[int]:
        """Living processes of the group."""
        ...

    def orphans(self) -> list[int]:
        """Children nobody watches: left behind by processes that are dead."""
        ...


def become_subreaper() -> None:
    """Orphans among our descendants become our children. Linux only; elsewhere they go to init."""
    if LINUX:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class OsSpawner:
    """The real one. Takes over SIGCHLD of the running event loop: one per process, which must own all its children."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watched: dict[int, Ended] = {}
        self._unclaimed: dict[int, ExitStatus] = {}
        self._adopted: dict[int, int | asyncio.TimerHandle] = {}
        self._told: list[Callable[[], None]] = []
        self._null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self._loop.add_signal_handler(signal.SIGCHLD, self._reap)

    def start(self, launch: Launch) -> int:
        try:
            process = subprocess.Popen(
                limited(launch.argv, launch.limits),
                env=launch.env,
                cwd=launch.cwd,
                stdin=self._null,
                stdout=self._null if launch.stdout is None else launch.stdout,
                stderr=self._null if launch.stderr is None else launch.stderr,
                pass_fds=launch.inherit,
                start_new_session=True,
                user=launch.user,
                group=None if launch.user is None else pwd.getpwnam(launch.user).pw_gid,
                extra_groups=_groups(launch.user),
            )
        except (OSError, LookupError, ValueError) as error:
            raise _explain(launch, error) from None
        process.returncode = 0  # we reap it ourselves, all at one place
        return process.pid

    def watch(self, pid: int, ended: Ended, *, adopted: bool = False) -> None:
        if pid in self._unclaimed:
            self._loop.call_soon(ended, self._unclaimed.pop(pid))
            return
        self._watched[pid] = ended
        if adopted:
            self._watch_adopted(pid)

    def signal(self, pgid: int, number: int) -> bool:
        try:
            os.killpg(pgid, number)
        except ProcessLookupError:
            return False
        except PermissionError:  # all that is left of it belongs to others by now: the number was used again
            return False
        return True

    def signal_one(self, pid: int, number: int) -> None:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError) as error:
            log.debug("process %s was not signalled: %s", pid, error)

    def on_reaped(self, told: Callable[[], None]) -> None:
        self._told.append(told)

    def members(self, pgid: int) -> list[int]:
        return group_members(pgid) if self.signal(pgid, 0) else []

    def orphans(self) -> list[int]:
        return [pid for pid in children_of(os.getpid()) if pid not in self._watched]

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            self._end(pid, ExitStatus.of(os.waitstatus_to_exitcode(status)))
        for told in self._told:
            told()

    def _end(self, pid: int, status: ExitStatus) -> None:
        ended = self._watched.pop(pid, None)
        if ended is not None:
            ended(status)
            return
        self._unclaimed[pid] = status
        while len(self._unclaimed) > _UNCLAIMED:
            del self._unclaimed[next(iter(self._unclaimed))]

    def _watch_adopted(self, pid: int) -> None:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self._loop.call_soon(self._adopted_ended, pid)
        except (OSError, AttributeError):
            self._adopted[pid] = self._loop.call_later(_ASK_EVERY_S, self._ask_adopted, pid)
        else:
            self._adopted[pid] = descriptor
            self._loop.add_reader(descriptor, self._adopted_ended, pid)

    def _ask_adopted(self, pid: int) -> None:
        stat = read_stat(pid)
        if stat is None or stat.zombie:
            self._adopted_ended(pid)
        else:
            self._adopted[pid] = self._loop.call_later(_ASK_EVERY_S, self._ask_adopted, pid)

    def _adopted_ended(self, pid: int) -> None:
        handle = self._adopted.pop(pid, None)
        if isinstance(handle, int):
            self._loop.remove_reader(handle)
            os.close(handle)
        ended = self._watched.pop(pid, None)
        if ended is not None:
            ended(ExitStatus())
        for told in self._told:
            told()


def limited(argv: tuple[str, ...], limits: Limits) -> tuple[str, ...]:
    """The program behind a shell that sets its limits first, for good, and then becomes it.

    Setting them from outside (prlimit) needs a capability root may lack for another user's process; code of ours
    between fork and exec may deadlock in a process with threads.
    """
    wanted = (
        ("v", None if limits.memory is None else int(limits.memory) // 1024),
        ("n", limits.open_files),
        ("t", limits.cpu_seconds),
    )
    orders = [f"ulimit -{letter} {value} && " for letter, value in wanted if value is not None]
    return ("/bin/sh", "-c", "".join(orders) + 'exec "$0" "$@"', *argv) if orders else argv


def _groups(user: str | None) -> list[int] | None:
    return None if user is None else os.getgrouplist(user, pwd.getpwnam(user).pw_gid)


def _explain(launch: Launch, error: Exception) -> OperationError:
    program = launch.argv[0]
    if isinstance(error, LookupError):
        return OperationError(f"There is no user {launch.user!r}.", remedy="Create it or change Process.user.")
    if isinstance(error, OSError) and not os.path.isdir(launch.cwd):
        return OperationError(f"The folder {launch.cwd} does not exist.", remedy="Create it or change `cwd`.")
    if isinstance(error, FileNotFoundError):
        return OperationError(
            f"{program!r} is not a program found in PATH or at that path.", remedy="Install it or correct `command`."
        )
    if isinstance(error, PermissionError) and launch.user is not None:
        return OperationError(f"Only root may run a process as user {launch.user!r}.", remedy="Remove Process.user.")
    return OperationError(f"{program!r} can not be started: {error}.", remedy="See that it can be executed.")
