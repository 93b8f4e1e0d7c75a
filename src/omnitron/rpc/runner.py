"""Runs calls in tasks that calls share as long as none of them waits.

A task per call costs a fifth of a small call. But most small calls never wait: so one task runs them one after
the other, each in a context (`contextvars`) of its own. A call that does wait keeps its task, which from then on is its
alone, so that `asyncio.current_task`, timeouts and cancellation mean what they should; another goes on with the rest.
"""

import asyncio
from collections import deque
from collections.abc import Coroutine, Generator
from contextvars import copy_context
from types import coroutine
from typing import Any, Protocol

from omnitron.base.clock import Clock


class Runnable(Protocol):
    task: asyncio.Task[None] | None
    started: float

    def run(self) -> Coroutine[Any, Any, None]:
        """All there is to do; raises nothing."""


class Runner:
    """Holds no more than the gates let through.

    now: monotonic seconds when the last call ended or was to begin; whoever ends a call sets it, so that a call needs
    one look at the clock and not two.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock
        self.now = 0.0
        self._todo: deque[Runnable] = deque()
        self._scheduled = False
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, call: Runnable) -> None:
        self._todo.append(call)
        if not self._scheduled:
            self._scheduled = True
            self._start()

    def start(self, coro: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Run something in a task of its own from the beginning."""
        task = asyncio.Task(coro, loop=self._loop, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _start(self) -> None:
        if not self._todo:
            self._scheduled = False
            return
        self.start(self._run(), "rpc calls")
        self._loop.call_soon(self._start)  # after its first step: what that left, because a call waits, needs another

    async def _run(self) -> None:
        todo, task = self._todo, asyncio.current_task(self._loop)
        assert task is not None
        self.now = self._clock.monotonic()
        while todo:
            call = todo.popleft()
            call.task, call.started = task, self.now
            coro, in_context = call.run(), copy_context().run
            try:
                awaited = in_context(coro.send, None)
            except StopIteration:
                if task.cancelling():
                    return
            else:
                return await _rest(coro, in_context, awaited)


@coroutine
def _rest(coro: Coroutine[Any, Any, None], in_context: Any, awaited: Any) -> Generator[Any, Any, None]:
    """Await what is left of `coro` after its first step, with every step of it in its own context."""
    while True:
        try:
            got = yield awaited
        except BaseException as error:
            step: Any = coro.throw
            got = error
        else:
            step = coro.send
        try:
            awaited = in_context(step, got)
        except StopIteration:
            return
