"""Reads log files: the last records quickly, what is appended, several processes in order of time.

A reader opens files a keeper may be rotating at this moment. It holds the live file open, so a rename below it does no
harm; between listing and opening an archive it may have moved up by one, in which case it is looked for again.
"""

import gzip
import heapq
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from omnitron.logs.query import Matcher, Query
from omnitron.logs.record import Record, read_record

_BLOCK: Final = 256 * 1024  # bytes read at once from the end of a file
MAX_BATCH: Final = 4 * 1024 * 1024  # bytes a follower reads of one file in one poll
_SUFFIX: Final = ".jsonl"


def log_path(log_dir: Path | str, process: str) -> Path:
    """The live log file of a process."""
    return Path(log_dir) / f"{process}{_SUFFIX}"


def logged_processes(log_dir: Path | str) -> list[str]:
    """Names of the processes that have a log."""
    return sorted(path.name.removesuffix(_SUFFIX) for path in Path(log_dir).glob(f"*{_SUFFIX}"))


def tail(log_dir: Path | str, processes: Iterable[str], n: int, query: Query | None = None) -> list[Record]:
    """The last `n` records of all these processes together that the query takes, oldest first."""
    matcher = Matcher(query or Query())
    newest = [_matching(log_path(log_dir, name), matcher, n) for name in processes]
    merged = heapq.merge(*newest, key=lambda record: record.time, reverse=True)
    return list(islice(merged, n))[::-1]


def _matching(path: Path, matcher: Matcher, n: int) -> list[Record]:
    """Newest first; stops at the first record before `since`, so a query for today does not unpack last week."""
    found: list[Record] = []
    since = matcher.query.since
    for line in _lines_backwards(path):
        record = read_record(line)
        if len(found) >= n or (since is not None and 0 < record.time < since):
            break
        if matcher.matches(record):
            found.append(record)
    found.sort(key=lambda record: record.time, reverse=True)
    return found


def _lines_backwards(path: Path) -> Iterator[bytes]:
    """All lines of the live file and its archives, newest first."""
    if path.exists():
        yield from _backwards(path)
    aside = path.with_name(path.name + ".1")
    packed = path.with_name(f"{path.name}.1.gz")
    if aside.exists() and not packed.exists():
        yield from _backwards(aside)
    number = 1
    while (packed := path.with_name(f"{path.name}.{number}.gz")).exists():
        with gzip.open(packed) as file:
            yield from reversed(file.read().splitlines())
        number += 1


def _backwards(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        position = file.seek(0, os.SEEK_END)
        rest = b""
        while position > 0:
            step = min(_BLOCK, position)
            position -= step
            file.seek(position)
            lines = (file.read(step) + rest).split(b"\n")
            rest = lines[0]
            yield from (line for line in reversed(lines[1:]) if line)
        if rest:
            yield rest


class Follower:
    """What is appended to the logs of some processes from now on. Call `poll` when it suits; it never waits."""

    def __init__(self, log_dir: Path | str, processes: Iterable[str], query: Query | None = None) -> None:
        self._matcher = Matcher(query or Query())
        self._files = [_Followed(log_path(log_dir, name)) for name in processes]

    def poll(self) -> list[Record]:
        """New records in order of time."""
        records = [read_record(line) for file in self._files for line in file.new_lines()]
        return sorted(filter(self._matcher.matches, records), key=lambda record: record.time)

    def close(self) -> None:
        for file in self._files:
            file.close()


class _Followed:
    """One file, held open over its rotation."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rest = b""
        self._descriptor = self._try_open()
        if self._descriptor is not None:
            os.lseek(self._descriptor, 0, os.SEEK_END)

    def _try_open(self) -> int | None:
        try:
            return os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None

    def new_lines(self) -> list[bytes]:
        lines: list[bytes] = []
        if self._descriptor is not None:
            rotated = self._rotated(self._descriptor)  # asked before reading: what is read after it is complete
            data = self._rest + os.read(self._descriptor, MAX_BATCH)
            *lines, self._rest = data.split(b"\n")
            if not rotated or lines:
                return lines
            self.close()
        self._descriptor = self._try_open()
        return self.new_lines() if self._descriptor is not None else []

    def _rotated(self, descriptor: int) -> bool:
        try:
            now = os.stat(self.path)
        except FileNotFoundError:
            return False  # between the rename and the new file
        held = os.fstat(descriptor)
        return (now.st_ino, now.st_dev) != (held.st_ino, held.st_dev)

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
