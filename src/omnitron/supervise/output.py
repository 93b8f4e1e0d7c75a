"""What a replica prints, on its way from two named pipes to the log file of its process.

The replica holds its pipes open for reading and writing, so a write never fails because nobody reads: while there is
no keeper the output waits in the pipe (PIPE_BYTES), then the writer waits. Each incarnation has pipes of its own, so
every line can be told whose it is, also while an old and a new one print at the same time. The pipes' names are how a
new keeper finds what an old one left running: whatever has `<run>/o/<process>.<slot>.<n>.out` as standard output.
"""

import asyncio
import fcntl
import logging
import os
import pwd
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from omnitron.base.clock import Clock
from omnitron.base.home import make_private
from omnitron.logs.record import Encoder, Source
from omnitron.logs.write import LogWriter
from omnitron.supervise.processinfo import all_pids, output_link, read_stat

log = logging.getLogger("omnitron.output")

PIPE_BYTES: Final = 1024 * 1024
_READ_BYTES: Final = 256 * 1024  # in one turn of the event loop
_F_SETPIPE_SZ: Final = 1031
_NAME: Final = re.compile(r"(?P<process>[a-z0-9-]+)\.(?P<slot>\d+)\.(?P<incarnation>\d+)\.(out|err)")
_STREAMS: Final = {"out": "stdout", "err": "stderr"}


def _pipe_path(run: Path, process: str, slot: int, incarnation: int, end: str) -> Path:
    return run / "o" / f"{process}.{slot}.{incarnation}.{end}"


class Output:
    """Both pipes of one incarnation: `create` them before a start; one that is adopted has them already."""

    def __init__(self, run: Path, process: str, slot: int, incarnation: int) -> None:
        self._paths = {end: _pipe_path(run, process, slot, incarnation, end) for end in _STREAMS}
        self._readers: list[int] = []
        self._pipes: list[_Pipe] = []

    def create(self, user: str | None) -> list[int]:
        """Descriptors to become standard output and error; close them once they are passed on.

        The reading ends are opened here too: a pipe nobody has open forgets what a short-lived writer left in it.
        """
        writers = []
        for path in self._paths.values():
            path.unlink(missing_ok=True)
            os.mkfifo(path, 0o600)
            if user is not None:
                os.chown(path, pwd.getpwnam(user).pw_uid, -1)
            writers.append(os.open(path, os.O_RDWR | os.O_CLOEXEC))
            self._readers.append(_open_reader(path))
        return writers

    def read_on(self, app: str, process: str, slot: int, pid: int, writer: LogWriter, clock: Clock) -> None:
        """Begin to move what is printed into the log."""
        try:
            readers = self._readers or [_open_reader(path) for path in self._paths.values()]
        except FileNotFoundError as error:
            log.error("the output pipe %s is gone: what process %s prints is lost", error.filename, pid)
            return
        self._readers = []
        for reader, stream in zip(readers, _STREAMS.values(), strict=True):
            source = Source(app, process, slot, pid, stream)
            self._pipes.append(_Pipe(reader, Encoder(source), writer, clock))

    def end(self) -> None:
        """Read what is left, close, and remove the pipes."""
        for pipe in self._pipes:
            pipe.close()
        for reader in self._readers:
            os.close(reader)
        self._pipes, self._readers = [], []
        for path in self._paths.values():
            path.unlink(missing_ok=True)


def _open_reader(path: Path) -> int:
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.fcntl(reader, _F_SETPIPE_SZ, PIPE_BYTES)
    except OSError as error:  # a user may own only so many pages of pipes: 64 KiB do as well
        log.debug("%s stays at its standard size: %s", path, error)
    return reader


class _Pipe:
    """The reading end of one pipe."""

    def __init__(self, descriptor: int, encoder: Encoder, writer: LogWriter, clock: Clock) -> None:
        self._descriptor = descriptor
        self._encoder = encoder
        self._writer = writer
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._read)
        self._reading = True

    def _read(self) -> int:
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return 0
        if not data:  # no writer is left; the descriptor would be readable for ever
            self._stop_reading()
            self._write(self._encoder.finish(self._clock.now()))
            return 0
        self._write(self._encoder.feed(data, self._clock.now()))
        return len(data)

    def _write(self, records: bytes) -> None:
        if records:
            self._writer.write(records)

    def _stop_reading(self) -> None:
        if self._reading:
            self._loop.remove_reader(self._descriptor)
            self._reading = False

    def close(self) -> None:
        left = PIPE_BYTES  # bounded: a survivor that keeps printing must not hold us
        while left > 0 and (got := self._read()):
            left -= got
        self._stop_reading()
        self._write(self._encoder.finish(self._clock.now()))
        os.close(self._descriptor)


class Found(msgspec.Struct, frozen=True):
    """A living replica, by the pipe it prints to."""

    process: str
    slot: int
    incarnation: int
    pid: int


def discover(run: Path) -> list[Found]:
    """All living leaders of replicas of this app, whoever started them. Needs /proc; [] without it.

    What a replica has put into a session of its own prints to the same pipes: so the first started of several counts.
    """
    folder = f"{run / 'o'}/"
    first: dict[tuple[str, int, int], tuple[float, int, Found]] = {}
    for pid in all_pids():
        links = (output_link(pid, 1), output_link(pid, 2))
        names = (_NAME.fullmatch(link[len(folder) :]) for link in links if link.startswith(folder))
        name = next(filter(None, names), None)
        stat = read_stat(pid) if name is not None else None
        if name is not None and stat is not None and stat.session == pid and not stat.zombie:
            key = (name["process"], int(name["slot"]), int(name["incarnation"]))
            one = (float(stat.started), pid, Found(*key, pid))  # the clock of starts is coarse: pids grow, too
            first[key] = min(one, first.get(key, one), key=lambda entry: entry[:2])
    return [found for _, _, found in first.values()]


def stray_templates(run: Path) -> list[int]:
    """Templates of this app; when a keeper starts, they are those of a dead one. Needs /proc."""
    links = ((pid, output_link(pid, descriptor)) for pid in all_pids() for descriptor in (1, 2))
    own = f"{run / 'o'}/"
    return [pid for pid, link in links if link.startswith(own) and ".template." in link.removeprefix(own)]


class Logs:
    """The log writers of an app, one a process, opened when first needed. trouble: told once when writing fails."""

    def __init__(self, folder: Path, trouble: Callable[[str, str], None]) -> None:
        self._folder = folder
        self._trouble = trouble
        self._writers: dict[str, LogWriter] = {}
        self._troubled: set[str] = set()

    def use(self, folder: str) -> None:
        """Where logs opened from now on are; "" for where they were."""
        self._folder = Path(folder or self._folder)

    def of(self, process: str) -> LogWriter:
        if process not in self._writers:
            make_private(self._folder)
            self._writers[process] = LogWriter(self._folder / f"{process}.jsonl")
        return self._writers[process]

    def check(self) -> None:
        """Tell of files that can not be written, once until they can again. Called with the periodic sampling."""
        for process, writer in self._writers.items():
            if not writer.trouble:
                self._troubled.discard(process)
            elif process not in self._troubled:
                self._troubled.add(process)
                self._trouble(process, f"{writer.trouble}; {writer.lost} bytes of output lost so far")

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()
