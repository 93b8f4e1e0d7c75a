"""A clock that moves when told to."""

import asyncio
import heapq
import itertools


class FakeClock:
    """Implements `omnitron.base.clock.Clock`. Time stands still but for `advance`.

    start: Unix time at first; monotonic time begins at 0.
    """

    SETTLE_TURNS = 20  # turns of the event loop a woken sleeper gets to act before time moves on

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start = start
        self._elapsed = 0.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    @property
    def sleeping(self) -> int:
        """How many wait in `sleep`."""
        return sum(not future.done() for _, _, future in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._elapsed + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass: wake sleepers one by one in the order of their times (first come first on a tie), each
        at its own time, so that one who sleeps again within the span is woken again.
        """
        end = self._elapsed + seconds
        await self._settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            at, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                self._elapsed = at
                future.set_result(None)
                await self._settle()
        self._elapsed = end

    async def _settle(self) -> None:
        for _ in range(self.SETTLE_TURNS):
            await asyncio.sleep(0)
