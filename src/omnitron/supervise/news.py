"""Something has changed: wakes everybody who waits for it, and holds nothing for those who do not."""

import asyncio
from collections.abc import Callable


class News:
    """Take `next()` before looking at the state and await it after: so no change falls between the two."""

    def __init__(self) -> None:
        self._next: asyncio.Future[None] | None = None

    def next(self) -> "asyncio.Future[None]":
        """Done at the next change. Shared by all who wait: shield it if you cancel what awaits it."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        return self._next

    def tell(self) -> None:
        if self._next is not None:
            waiting, self._next = self._next, None
            if not waiting.done():
                waiting.set_result(None)

    async def until(self, reached: Callable[[], bool], timeout: float) -> bool:
        """Wait until `reached()` is true, for at most `timeout` seconds; whether it is."""
        try:
            async with asyncio.timeout(timeout):
                while not reached():
                    await asyncio.shield(self.next())
        except TimeoutError:
            return reached()
        return True
