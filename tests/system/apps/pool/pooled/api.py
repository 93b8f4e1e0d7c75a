"""HTTP in front of the pool. Every answer says which process gave it."""

import asyncio
import os

from starlette.requests import Request

from omnitron import CallError, Moved, Remote, on_start, route, service
from omnitron.base.tasks import TaskSet
from pooled.work import Work

PUBLIC = "a test"


@service("shop@1.0.0")
class Shop:
    def __init__(self, work: Remote[Work], tasks: TaskSet) -> None:
        self._work, self._tasks = work, tasks
        self._counted, self._moves, self._deaths, self._gaps = 0, 0, 0, 0

    @on_start
    async def begin(self) -> None:
        self._tasks.start(self._consume(), "consume")

    async def _consume(self) -> None:
        """Reads the endless stream, from where it was whenever it is told to move on."""
        while True:
            try:
                async for number in self._work.count(self._counted):
                    self._gaps += number != self._counted
                    self._counted = number + 1
            except Moved:
                self._moves += 1
            except CallError:  # its worker was killed
                self._deaths += 1
                await asyncio.sleep(0.01)

    @route("GET", "/again/{number}", public=PUBLIC)
    async def again(self, request: Request) -> dict[str, int | str]:
        return {"server": os.getpid(), **await self._work.again(int(request.path_params["number"]))}

    @route("GET", "/once/{number}", public=PUBLIC)
    async def once(self, request: Request) -> dict[str, int | str]:
        return {"server": os.getpid(), **await self._work.once(int(request.path_params["number"]))}

    @route("GET", "/stream", public=PUBLIC)
    async def stream(self, request: Request) -> dict[str, int]:
        told = {"counted": self._counted, "moves": self._moves, "deaths": self._deaths, "gaps": self._gaps}
        return {"server": os.getpid(), **told}
