"""The door to time. Decisions take `now` as an argument; whoever calls them holds a `Clock`."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Seconds, as floats."""

    def now(self) -> float:
        """Unix time."""
        ...

    def monotonic(self) -> float:
        """Seconds from an unspecified start that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> float:
        return time.time()

    monotonic = staticmethod(time.monotonic)  # without a call in between: RPC asks for it twice per call

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
