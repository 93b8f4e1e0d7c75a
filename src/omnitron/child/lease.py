"""The lease of a singleton: an `flock` that the kernel gives back when its holder dies, however it dies.

The file holds the fencing token, one higher for each holder. Whoever writes to a resource outside hands the token over
with each write, and the resource refuses a lower one than it has seen: so that a holder that was stopped, and believes
it still holds, does no harm.
"""

import asyncio
import fcntl
import os
from pathlib import Path
from typing import Final

from omnitron.base.errors import OperationError

FIRST_WAIT_S: Final = 0.005
LONGEST_WAIT_S: Final = 0.1


class Lease:
    """Held until the process ends; there is no giving back, since what the holder started may still run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.token = 0
        self._descriptor = -1

    def __repr__(self) -> str:
        return f"<Lease {self.path.name} token={self.token}>"

    def take(self) -> bool:
        """Whether it is ours now. Raises OperationError if the file can not be made."""
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise OperationError(
                f"The lease {self.path} can not be opened: {error.strerror}.", remedy="See who owns the folder."
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        self.token = _read(descriptor) + 1
        _write(descriptor, self.token)
        return True

    async def wait(self) -> None:
        """Return when it is ours."""
        wait_s = FIRST_WAIT_S
        while not self.take():
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 2, LONGEST_WAIT_S)


def _read(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).strip()
    if not text:
        return 0
    if not text.isdigit():
        raise OperationError(
            f"The lease file holds {text!r}, which is no fencing token.",
            remedy="Write into it a number no lower than any token handed out, then start the process again.",
        )
    return int(text)


def _write(descriptor: int, token: int) -> None:
    data = f"{token:020d}\n".encode()  # of fixed width, so that one write replaces the last number as a whole
    os.pwrite(descriptor, data, 0)
    os.fsync(descriptor)
