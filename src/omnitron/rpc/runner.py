"""Runs calls at once, where they arrive, up to their first wait.

A task per call costs a fifth of a small call, and a turn of the event loop before its first step as much again. But
most small calls never wait. So a call begins inside the callback that has read it, on a *lane*: a task that idles and
that the call sees as its own (`asyncio.current_task`). If the call ends without a wait, the next one uses the lane.
If it waits, the lane goes on with it and is its alone from then on, so that timeouts, cancellation and task groups
mean what they should.

No call sees a context variable that another one has set: after each call its context is compared with what it was
before, which is one comparison of pointers if nothing was set, and a lane never uses one again that differs.

`asyncio._enter_task` and `_leave_task` are what asyncio documents for other implementations of tasks ("Extending").
"""

import asyncio
from asyncio.tasks import _enter_task, _leave_task
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import copy_context
from types import coroutine
from typing import Any, Final, Protocol

from omnitron.base.clock import Clock

MAX_IDLE_LANES: Final = 4
MORE_LANES: Final = 2
"""Begun for those that wait for a lane when a call keeps the one it had: so their number doubles with each turn."""
Task = asyncio.Task[None]


CLEAN: Final = object()
CHANGED: Final = object()
Calls = Callable[[], Generator[Any, Any, None]]
"""A generator that is sent a call, runs it, and yields CLEAN, or CHANGED if its context is not what it was before.

What the call awaits it yields too. It raises nothing that is an Exception.
"""


class Runnable(Protocol):
    task: Task | None


class _Lane:
    """An idle task. It waits for `go`, then goes on with the call that has begun on it and now waits for `awaited`."""

    __slots__ = ("awaited", "go", "in_context", "make_calls", "send", "task", "throw", "waits")
    task: Task
    send: Callable[[Any], Any]
    throw: Callable[[Any], Any]

    def __init__(self, loop: asyncio.AbstractEventLoop, make_calls: Calls) -> None:
        self.make_calls = make_calls
        self.go: asyncio.Future[None] = loop.create_future()
        self.waits = False
        self.awaited: Any = None
        self.renew()

    def renew(self) -> None:
        """Take a fresh context."""
        calls, self.in_context = self.make_calls(), copy_context().run
        self.send, self.throw = calls.send, calls.throw
        self.in_context(self.send, None)

    def begin(self, call: Runnable) -> bool:
        """Whether the call waits."""
        call.task = self.task
        try:
            self.awaited = awaited = self.in_context(self.send, call)
        except BaseException:
            self.renew()
            raise
        if awaited is CLEAN:
            return False
        if awaited is CHANGED:
            self.renew()
            return False
        self.waits = True
        return True

    @coroutine
    def rest(self) -> Generator[Any, Any, None]:
        """What is left of the call that waits."""
        while self.awaited is not CLEAN and self.awaited is not CHANGED:
            try:
                got = yield self.awaited
            except BaseException as error:
                self.awaited = self.in_context(self.throw, error)
            else:
                self.awaited = self.in_context(self.send, got)


class Runner:
    """Holds no more than the gates let through.

    now: monotonic seconds when the last call ended or was to begin; whoever ends a call sets it, so that a call needs
    one look at the clock and not two.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, make_calls: Calls) -> None:
        self._loop, self._clock, self._make_calls = loop, clock, make_calls
        self.now = 0.0
        self._todo: deque[Runnable] = deque()
        self._current: _Lane | None = None
        self._idle: list[_Lane] = []
        self._starting = 0
        self._tasks: set[Task] = set()

    def start(self, coro: Coroutine[Any, Any, None], name: str) -> Task:
        """Run something in a task of its own from the beginning."""
        task = asyncio.Task(coro, loop=self._loop, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def add(self, call: Runnable) -> None:
        """Begin a call: now if no task is running, else in a later turn of the loop. `pause` after the last."""
        lane = self._current or self._enter()
        if lane is None:
            self._todo.append(call)
            if not self._starting:
                self._start_lanes(1)
            return
        if lane.begin(call) and not lane.go.done():
            lane.go.set_result(None)
        if lane.go.done():  # it waits, or has cancelled itself
            self.pause()

    def pause(self) -> None:
        """The callback is at its end."""
        if (lane := self._current) is not None:
            self._current = None
            _leave_task(self._loop, lane.task)
            if not lane.go.done():
                self._idle.append(lane)

    def close(self) -> None:
        for lane in self._idle:
            lane.task.cancel()
        self._idle.clear()

    def _enter(self) -> _Lane | None:
        while self._idle and not self._todo and asyncio.current_task(self._loop) is None:
            lane = self._idle.pop()
            if not lane.go.done():
                _enter_task(self._loop, lane.task)
                self._current = lane
                return lane
        return None

    def _start_lanes(self, count: int) -> None:
        for _ in range(min(count, len(self._todo) - self._starting)):
            lane = _Lane(self._loop, self._make_calls)
            self._starting += 1
            lane.task = self.start(self._run(lane), "rpc calls")

    async def _run(self, lane: _Lane) -> None:
        """First what found no lane, then what begins on this one."""
        self._starting -= 1
        self.now = self._clock.monotonic()
        while self._todo and not lane.task.cancelling():
            if lane.begin(self._todo.popleft()):
                self._start_lanes(MORE_LANES)
                return await lane.rest()
        if lane.task.cancelling() or len(self._idle) >= MAX_IDLE_LANES:
            return self._start_lanes(MORE_LANES)
        self._idle.append(lane)
        try:
            await lane.go
        except asyncio.CancelledError:
            if not lane.waits:
                if lane in self._idle:
                    self._idle.remove(lane)
                raise
            lane.task.uncancel()  # it came before this task got hold of what it must cancel: so once more
            self._loop.call_soon(lane.task.cancel)
        await lane.rest()
