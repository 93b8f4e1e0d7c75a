"""Who really runs in a home: read from /proc, not from Omnitron's own books, so that the books can be tested.

A replica is told by where its output goes, which survives the death of its keeper and of the daemon, and for programs
that redirect their output by its environment. Linux only.
"""

import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from omnitron.base.home import HOME_VARIABLE, Home
from omnitron.control.replica import ENV_INCARNATION, ENV_INSTANCE_ID
from omnitron.supervise.processinfo import Stat, all_pids, environment_of, output_link, read_stat

SAMPLE_S: Final = 0.1
SETTLE_S: Final = 0.05  # for the dead to be gone: one killed may take a moment to let go of its memory
_OUTPUT: Final = re.compile(r"(?P<app>[^/]+)/o/(?P<process>[a-z0-9-]+)\.(?P<slot>\d+)\.(?P<incarnation>\d+)\.(out|err)")
_TEMPLATE: Final = re.compile(r"(?P<app>[^/]+)/o/(?P<process>[a-z0-9-]+)\.template\.\d+\.\d+\.(out|err)")
_SERVANT: Final = b"postgres: "  # a backend of Postgres, in a session of its own, may outlive its parent a moment


class Census:
    """Of the stack `stack` in `home`."""

    def __init__(self, home: Home, stack: str) -> None:
        self._environ = f"{HOME_VARIABLE}={home.root}".encode()
        self._home = home
        self._folder = f"{home.run_dir(stack, 'x').parent}/"
        self._direct = home.run_dir(stack, "x").is_relative_to(home.root)

    def replicas(self) -> dict[str, list[int]]:
        """Living processes by replica ("app/process/slot"), without those a replica has started."""
        first: dict[tuple[str, str], int] = {}
        for stat in self._leaders():
            if (replica := self._replica(stat.pid)) is not None:
                first.setdefault(replica, stat.pid)
        found = defaultdict(list)
        for (name, _), pid in first.items():
            found[name].append(pid)
        return dict(found)

    def templates(self) -> dict[str, list[int]]:
        """Living templates by process ("app/process")."""
        found = defaultdict(list)
        for pid in self._pids():
            if (match := self._output(_TEMPLATE, pid)) is not None:
                found[f"{self._app(match, pid)}/{match['process']}"].append(pid)
        return dict(found)

    def keepers(self) -> dict[str, list[int]]:
        """Living keepers by app."""
        found = defaultdict(list)
        for pid in self._pids():
            words = _read(pid, "cmdline").split(b"\0")
            if b"omnitron.supervise.keeper" in words and os.fsencode(self._home.root) in words:
                found[words[words.index(b"--app") + 1].decode()].append(pid)
        return dict(found)

    def everybody(self) -> list[int]:
        """Every process that carries this home in its environment, whoever started it."""
        return [pid for pid in all_pids() if pid != os.getpid() and self._environ in _read(pid, "environ").split(b"\0")]

    def copies(self) -> dict[str, list[int]]:
        """Replicas of which more than one lives right now; outside of a reload {} is how it should be.

        Keepers are left to the kernel: a second one fails to get the lock and ends before it has touched anything.
        """
        return self._twice(self.replicas())

    @contextmanager
    def watching(self) -> Iterator[list[Mapping[str, list[int]]]]:
        """Sample `copies` while the block runs, every SAMPLE_S; the list gets what it should not have seen."""
        seen: list[Mapping[str, list[int]]] = []
        over = threading.Event()

        def sample() -> None:
            while not over.wait(SAMPLE_S):
                if copies := self.copies():
                    seen.append(copies)

        thread = threading.Thread(target=sample, name="census", daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            thread.join()

    def _twice(self, found: Mapping[str, list[int]]) -> dict[str, list[int]]:
        """A sample takes a moment, in which one may end and its successor begin: who is twice is looked at again."""
        twice = {name: pids for name, pids in found.items() if len(pids) > 1}
        if twice:
            time.sleep(SETTLE_S)
        living = {name: [pid for pid in pids if _lives(pid)] for name, pids in twice.items()}
        return {name: pids for name, pids in living.items() if len(pids) > 1}

    def _leaders(self) -> Iterator[Stat]:
        for pid in all_pids():
            stat = read_stat(pid)
            if stat is not None and stat.session == pid and not stat.zombie:
                yield stat

    def _pids(self) -> Iterator[int]:
        return (stat.pid for stat in self._leaders())

    def _replica(self, pid: int) -> tuple[str, str] | None:
        """Name, and what tells one copy from another: the pid, or for programs that fork into sessions of their own, as
        Postgres does, the incarnation.
        """
        command = _read(pid, "cmdline")
        if command.startswith(_SERVANT) or self._output(_TEMPLATE, pid, (2,)) is not None:
            return None
        if (match := self._output(_OUTPUT, pid)) is not None:
            copy = str(pid) if b"omnitron.child" in command else match["incarnation"]
            return f"{self._app(match, pid)}/{match['process']}/{match['slot']}", copy
        environ = environment_of(pid)
        if environ.get(HOME_VARIABLE) != str(self._home.root) or ENV_INSTANCE_ID not in environ:
            return None
        return environ[ENV_INSTANCE_ID], environ[ENV_INCARNATION]

    def _app(self, match: re.Match[str], pid: int) -> str:
        """The folder's name, unless it had to be shortened to a hash."""
        return match["app"] if self._direct else environment_of(pid).get(ENV_INSTANCE_ID, "").partition("/")[0]

    def _output(self, pattern: re.Pattern[str], pid: int, numbers: tuple[int, ...] = (1, 2)) -> re.Match[str] | None:
        links = (output_link(pid, number) for number in numbers)
        names = (pattern.fullmatch(link[len(self._folder) :]) for link in links if link.startswith(self._folder))
        found = next(filter(None, names), None)
        ours = self._direct or environment_of(pid).get(HOME_VARIABLE) == str(self._home.root)
        return found if ours else None


def _lives(pid: int) -> bool:
    stat = read_stat(pid)
    return stat is not None and not stat.zombie


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
