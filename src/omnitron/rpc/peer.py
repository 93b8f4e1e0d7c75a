"""A replica as a caller sees it: an address that is dialled again, for as long as the directory has it."""

import asyncio
from collections.abc import Callable
from typing import Final

from omnitron.base.clock import Clock
from omnitron.base.errors import OmnitronError
from omnitron.base.rand import Rand
from omnitron.base.tasks import TaskSet
from omnitron.rpc.endpoints import Endpoint
from omnitron.rpc.link import Link, open_link

CONNECT_TIMEOUT_S: Final = 5.0
FIRST_RETRY_S, LAST_RETRY_S = 0.005, 0.1
"""Doubling, with jitter. A call that waits begins it anew, so what comes back is found at once."""


class Peer:
    """Keeps one usable link to an endpoint; `on_change` is called when that begins or ends."""

    def __init__(
        self, endpoint: Endpoint, who: str, clock: Clock, rand: Rand, tasks: TaskSet, on_change: Callable[[], None]
    ) -> None:
        self.endpoint = endpoint
        self.link: Link | None = None
        self.failures = 0
        """Attempts to connect that failed since the last that did not."""
        self.last_error = ""
        self._who, self._clock, self._rand, self._tasks, self._on_change = who, clock, rand, tasks, on_change
        self._task: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()
        self._retired = False

    def __repr__(self) -> str:
        return f"<Peer {self.endpoint.replica} {self.link!r} failures={self.failures}>"

    def renew(self, endpoint: Endpoint) -> None:
        """The directory says something new about it: another incarnation is worth an attempt at once."""
        changed, self.endpoint = endpoint != self.endpoint, endpoint
        if changed:
            self.want()

    def want(self) -> None:
        """Somebody waits for it."""
        if self._task is None and self.link is None and not self._retired:
            self._task = self._tasks.start(self._connect(), f"connect {self.endpoint.replica}")
        self._wanted.set()

    def retire(self) -> None:
        """Begin nothing more; calls that run may finish."""
        self._retired = True
        if self._task is not None:
            self._task.cancel()
        if self.link is not None:
            link, self.link = self.link, None
            link.leave()

    async def _connect(self) -> None:
        delay_s = FIRST_RETRY_S
        try:
            while not self._retired:
                try:
                    self.link = await open_link(
                        self.endpoint.path, self._clock, CONNECT_TIMEOUT_S, who=self._who, on_change=self._link_changed
                    )
                except (OSError, OmnitronError) as error:
                    self.failures += 1
                    self.last_error = f"{type(error).__name__}: {error}"
                    if self.failures == 1:  # a call for a key it owns may now go to another
                        self._on_change()
                    delay_s = await self._pause(delay_s)
                else:
                    self.failures = 0
                    return
        finally:
            self._task = None
            self._on_change()

    async def _pause(self, delay_s: float) -> float:
        """Wait before the next attempt; the delay after that one."""
        self._wanted.clear()
        await self._clock.sleep(FIRST_RETRY_S)
        try:
            async with asyncio.timeout(delay_s * (0.5 + self._rand.random())):
                await self._wanted.wait()
        except TimeoutError:
            return min(delay_s * 2, LAST_RETRY_S)
        return FIRST_RETRY_S

    def _link_changed(self, link: Link) -> None:
        """It ends, or is told to: whoever is at the address now is the successor."""
        if link is self.link:
            self.link = None
            self.want()
            self._on_change()
        if link.going_away and not link.closed.done():
            link.leave()
