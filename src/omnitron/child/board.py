"""The replica's notice board: where it is in its life, for the keeper to watch."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final

from omnitron.control.replica import ReplicaReport

log = logging.getLogger("omnitron.replica")
LAST: Final = "failed"
"""The phase after which nothing follows."""


class Board:
    """Watchers see the present report and each later one; a slow one skips to the newest, so nothing is queued."""

    def __init__(self) -> None:
        self.report = ReplicaReport(phase="booting")
        self.watchers = 0
        self._changed = asyncio.Event()
        self._seen = asyncio.Event()

    def set(self, phase: str, detail: str = "", trace: str = "") -> None:
        self.report = ReplicaReport(phase=phase, detail=detail, trace=trace)
        level = logging.ERROR if phase == LAST else logging.INFO
        log.log(level, "%s%s", phase, f": {detail}" if detail else "")
        self._changed.set()
        self._changed = asyncio.Event()
        self._seen.clear()

    async def watch(self) -> AsyncIterator[ReplicaReport]:
        """Ends after a report of phase "failed"."""
        self.watchers += 1
        try:
            while True:
                report, changed = self.report, self._changed
                yield report
                self._seen.set()  # it asks for the next one: the last has been handed on
                if report.phase == LAST:
                    return
                if report is self.report:
                    await changed.wait()
        finally:
            self.watchers -= 1

    async def seen(self, timeout_s: float) -> None:
        """Return when somebody has been sent the present report, or after `timeout_s` seconds."""
        try:
            await asyncio.wait_for(self._seen.wait(), timeout_s)
        except TimeoutError:
            log.debug("nobody watches")
