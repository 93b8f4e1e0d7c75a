"""The caller's end of a stream."""

import asyncio
from collections import deque

from omnitron.base.errors import InternalError, OmnitronError
from omnitron.wire.frames import STREAM_WINDOW_ITEMS, Body


class Inbox:
    """Items of a stream that have arrived and were not taken; never more than the window."""

    __slots__ = ("ended", "error", "items", "taken", "waiter")

    def __init__(self) -> None:
        self.items: deque[Body] = deque()
        self.taken = 0
        self.ended = False
        self.error: OmnitronError | None = None
        self.waiter: asyncio.Future[None] | None = None

    def put(self, item: Body) -> None:
        if len(self.items) >= STREAM_WINDOW_ITEMS:
            raise InternalError("A server sent more items than it had credit for.")
        self.items.append(item)
        self.wake()

    def end(self, error: OmnitronError | None = None) -> None:
        self.ended, self.error = True, error
        self.wake()

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)
