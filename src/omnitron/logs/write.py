"""Writes the log file of one process and rotates it by size, without losing or tearing a record.

`<name>` is written; when it is full it becomes `<name>.1`, a thread compresses that to `<name>.1.gz`, and older ones
have moved up before. A crash at any point leaves either `.1` alone, or `.1` and a complete `.1.gz` of the same content,
because the compressed file appears under its name only when whole: both are put right at the next start.
"""

import errno
import gzip
import os
import shutil
import threading
from pathlib import Path
from typing import Final

from omnitron.base.errors import OperationError

MAX_BYTES: Final = 10 * 1024 * 1024  # of the file before it is rotated
KEEP: Final = 10  # rotated files kept
_LEVEL: Final = 1  # of gzip: three times faster than the default, a tenth larger


class LogWriter:
    """One file. The file grows beyond `max_bytes` only while its predecessor is still being compressed.

    lost: bytes that could not be written since the last success; `trouble` says why ("" if all is well).
    """

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, keep: int = KEEP) -> None:
        self.path = path
        self.lost = 0
        self.trouble = ""
        self._max_bytes = max_bytes
        self._keep = keep
        self._thread: threading.Thread | None = None
        if self._aside.exists():
            self._compress_aside()
        self._open()

    def write(self, records: bytes) -> None:
        """Append whole records. On a full disk they are dropped and counted: blocking the writer helps nobody."""
        if self._size and self._size + len(records) > self._max_bytes and not self.compressing:
            self._rotate()
        try:
            self._append(records)
        except OSError as error:
            os.ftruncate(self._descriptor, self._size)  # never leave half a record
            self.lost += len(records)
            self.trouble = f"{self.path} can not be written: {errno.errorcode.get(error.errno or 0)}, {error.strerror}"
        else:
            self.lost, self.trouble = 0, ""

    @property
    def compressing(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def close(self) -> None:
        """Wait for the compression under way, then close."""
        if self._thread is not None:
            self._thread.join()
        os.close(self._descriptor)

    @property
    def _aside(self) -> Path:
        return self.path.with_name(self.path.name + ".1")

    def _archive(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}.gz")

    def _open(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OperationError(
                f"The log file {self.path} can not be opened: {error.strerror}.",
                remedy="Make its folder writable for the user Omnitron runs as.",
            ) from None
        self._size = self._whole_records(os.fstat(self._descriptor).st_size)

    def _whole_records(self, size: int) -> int:
        """A keeper killed inside a write may have left half a record at the end: cut it off."""
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            step = min(size, 1 << 20)
            size = size - step + os.pread(self._descriptor, step, size - step).rfind(b"\n") + 1
            os.ftruncate(self._descriptor, size)
        return size

    def _append(self, records: bytes) -> None:
        view = memoryview(records)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._size += len(records)

    def _rotate(self) -> None:
        for number in range(self._keep - 1, 0, -1):
            if self._archive(number).exists():
                os.replace(self._archive(number), self._archive(number + 1))
        os.replace(self.path, self._aside)
        os.close(self._descriptor)
        self._open()
        self._thread = threading.Thread(target=self._compress_aside, name=f"gzip {self.path.name}")
        self._thread.start()

    def _compress_aside(self) -> None:
        whole = self._archive(1)
        partial = whole.with_name(whole.name + ".partial")
        try:
            with self._aside.open("rb") as plain, gzip.open(partial, "wb", _LEVEL) as packed:
                shutil.copyfileobj(plain, packed, 1 << 20)
            os.chmod(partial, 0o600)
            os.replace(partial, whole)
            self._aside.unlink()
        except OSError as error:  # a full disk: `.1` stays, readable, and is tried again at the next start
            self.trouble = f"{self._aside} can not be compressed: {error.strerror}"
            partial.unlink(missing_ok=True)
