"""The events of one app: a bounded ring, and those who follow it.

A follower that reads slowly loses nothing it could still have: it reads from the ring at its own pace, and only events
that fell out of the ring meanwhile are gone, which the gap in `seq` shows.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from typing import Any, Final

from omnitron.base.clock import Clock
from omnitron.control.events import Event
from omnitron.supervise.news import News

log = logging.getLogger("omnitron.keeper")

RING: Final = 1000  # events kept
_LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Journal:
    """seq: of the latest event. A new keeper starts RING above the last number saved, so that none is used twice."""

    def __init__(self, stack: str, clock: Clock, seq: int = 0) -> None:
        self.seq = seq
        self._stack = stack
        self._clock = clock
        self._ring: deque[Event] = deque(maxlen=RING)
        self._news = News()

    def tell(self, subject: str, kind: str, reason: str = "", level: str = "info", **data: Any) -> None:
        self.seq += 1
        event = Event(
            seq=self.seq, time=self._clock.now(), stack=self._stack, subject=subject, kind=kind, reason=reason,
            level=level, data=data,
        )  # fmt: skip
        self._ring.append(event)
        log.log(_LEVELS[level], "%s %s: %s", subject, kind, reason)
        self._news.tell()

    def kept(self, after: int) -> list[Event]:
        return [event for event in self._ring if event.seq > after]

    async def follow(self, after: int) -> AsyncIterator[Event]:
        """Events with a greater seq: those kept, then as they happen."""
        while True:
            news = self._news.next()
            for event in self.kept(after):
                after = event.seq
                yield event
            if after >= self.seq or not self.kept(after):
                await asyncio.shield(news)
