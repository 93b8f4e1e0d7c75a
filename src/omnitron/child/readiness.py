"""Whether the replica may be called, as its own `Health.readiness` function says. Asked beside the probes, not by them:
a function that hangs must not look like an event loop that does.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from omnitron.base.tasks import TaskSet
from omnitron.child.board import Board
from omnitron.model.health import Health

RECOVERY_S: Final = 1.0
"""While not ready, ask this often, if `Health.interval` is longer."""


class Readiness:
    """ask: the user's function; None is always ready. Puts "ready" and "not_ready" on the board as that changes."""

    def __init__(self, health: Health, ask: Callable[[], Awaitable[Any]] | None, board: Board) -> None:
        self._interval_s, self._timeout_s = float(health.interval), float(health.timeout)
        self._ask, self._board = ask, board
        self._task: asyncio.Task[None] | None = None

    async def begin(self, tasks: TaskSet) -> None:
        """Ask once, and from then on."""
        if self._ask is None:
            self._board.set("ready")
            return
        self._put(await self._why_not(self._ask))
        self._task = tasks.start(self._keep_asking(self._ask), "readiness")

    def end(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _keep_asking(self, ask: Callable[[], Awaitable[Any]]) -> None:
        while True:
            ready = self._board.report.phase == "ready"
            await asyncio.sleep(self._interval_s if ready else min(self._interval_s, RECOVERY_S))
            self._put(await self._why_not(ask))

    async def _why_not(self, ask: Callable[[], Awaitable[Any]]) -> str:
        """ "" if ready."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return "" if await ask() else "readiness answered no"
        except TimeoutError:
            return f"readiness did not answer within {self._timeout_s:g}s"
        except Exception as error:
            return f"readiness raised {type(error).__name__}: {error}"

    def _put(self, why_not: str) -> None:
        phase = "not_ready" if why_not else "ready"
        if (self._board.report.phase, self._board.report.detail) != (phase, why_not):
            self._board.set(phase, why_not)
