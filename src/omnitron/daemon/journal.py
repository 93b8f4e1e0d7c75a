"""What happened, stored and told: whoever waits for something looks again at each event, nobody polls."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from omnitron.base.clock import Clock
from omnitron.base.errors import OmnitronError
from omnitron.control.events import Event
from omnitron.store.store import Store

log = logging.getLogger("omnitron.daemon")
SOURCE: Final = "daemon"
PAGE: Final = 200  # events read from the store at a time
_LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class Journal:
    """The daemon's own events and those of its keepers, in one order."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._history = store.history
        self._clock = clock
        self._seq = 0
        self._watchers: set[asyncio.Event] = set()

    def tell(self, stack: str, subject: str, kind: str, reason: str = "", level: str = "info", **data: Any) -> None:
        """An event of the daemon's own."""
        self._seq += 1
        log.log(_LEVELS[level], "%s %s %s: %s", stack, subject, kind, reason)
        now = self._clock.now()
        self.take(
            Event(
                seq=self._seq, time=now, stack=stack, subject=subject, kind=kind, reason=reason, level=level, data=data
            ),
            SOURCE,
        )  # fmt: skip

    def take(self, event: Event, source: str) -> None:
        """An event of somebody. A store that can not be written costs the event, not the supervision."""
        try:
            self._history.add(event, source)
        except OmnitronError as error:
            log.error("event %s of %s was not stored: %s", event.kind, event.subject, error)
        self.changed()

    def changed(self) -> None:
        """Something is different now: wake all who watch."""
        for watcher in self._watchers:
            watcher.set()

    @contextmanager
    def watch(self) -> Iterator[asyncio.Event]:
        """Set at each change; the watcher clears it before it looks."""
        watcher = asyncio.Event()
        self._watchers.add(watcher)
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)

    def newest(self, stack: str, source: str) -> tuple[int, float]:
        return self._history.newest(stack, source)

    def latest(self, count: int, stack: str | None = None, subjects: Iterable[str] = ()) -> list[Event]:
        return self._history.latest(count, stack, subjects)

    async def follow(self, last: int, stack: str | None, subjects: tuple[str, ...]) -> AsyncIterator[Event]:
        """The latest `last`, then as they happen. Read from the store, so a slow reader needs no buffer."""
        newest = self._history.latest(1)
        seq = newest[0].seq if newest else 0
        with self.watch() as changed:
            for event in self._history.latest(last, stack, subjects):
                yield event
                seq = max(seq, event.seq)
            while True:
                changed.clear()
                while page := self._history.after(seq, PAGE, stack, subjects):
                    for event in page:
                        yield event
                    seq = page[-1].seq
                await changed.wait()
