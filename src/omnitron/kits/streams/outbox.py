"""What a producer has not got rid of yet, in order: waiting, then on the way. Bounded. No I/O.

add --> waiting --take--> under way --done--> gone
           ^                  |
           +-----take_back----+        the connection was lost: all of it is sent again
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final

MAX_BATCH: Final = 5_000  # items of one write
DEFAULT_BUFFER: Final = 100_000  # items


@dataclass(slots=True, eq=False)
class Chunk:
    """Items handed over by one call. frames: packed commands. keys: of the same items, or empty.

    flush: it has no items, and `done` tells that all before it are gone.
    """

    frames: list[bytes]
    keys: list[str]
    done: asyncio.Future[None] | None
    last_id: bytes = b""
    flush: bool = False
    count: int = 0  # items it was added with; some may have been left out since

    def settle(self, error: Exception | None) -> None:
        if self.done is not None and not self.done.done():
            if error is None:
                self.done.set_result(None)
            else:
                self.done.set_exception(error)
                self.done.exception()  # its waiter may have been cancelled

    def leave_out(self, known: set[str]) -> None:
        """Forget the items whose key is known to have arrived."""
        if keep := [i for i, key in enumerate(self.keys) if key not in known]:
            self.frames, self.keys = [self.frames[i] for i in keep], [self.keys[i] for i in keep]
        else:
            self.frames, self.keys = [], []


class Outbox:
    """size: items in it, of at most `limit` (one call may go beyond it by MAX_BATCH)."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self._waiting: deque[Chunk] = deque()
        self._under_way: deque[Chunk] = deque()
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    async def add(self, chunk: Chunk) -> None:
        """Wait for room, then put it last."""
        while self.size >= self.limit:
            self._room.clear()
            await self._room.wait()
        chunk.count = len(chunk.frames)
        self.size += chunk.count
        self._waiting.append(chunk)
        self._work.set()

    async def take(self) -> list[Chunk]:
        """Wait for work, then up to MAX_BATCH items of it; they are under way now."""
        while not self._waiting:
            self._work.clear()
            await self._work.wait()
        taken: list[Chunk] = []
        count = 0
        while self._waiting and (count == 0 or count + len(self._waiting[0].frames) <= MAX_BATCH):
            chunk = self._waiting.popleft()
            count += len(chunk.frames)
            taken.append(chunk)
            self._under_way.append(chunk)
        return taken

    def take_back(self) -> list[Chunk]:
        """What was under way is waiting again, in its order; returns it."""
        again = list(self._under_way)
        self._under_way.clear()
        self._waiting.extendleft(reversed(again))
        if again:
            self._work.set()
        return again

    def done(self, chunks: int, error: Exception | None = None) -> bytes:
        """The first so many chunks under way are finished, or failed; the last id of theirs, if any."""
        last_id = b""
        for _ in range(chunks):
            chunk = self._under_way.popleft()
            self.size -= chunk.count
            last_id = chunk.last_id or last_id
            chunk.settle(error)
        if self.size < self.limit:
            self._room.set()
        return last_id

    def fail_all(self, error: Exception) -> None:
        """Nothing of it will ever be sent."""
        self._under_way.extend(self._waiting)
        self._waiting.clear()
        self.done(len(self._under_way), error)
