"""One call while it is on the server: waiting, running, answered.

Its life: `admit` through the method's gates, `run_calls`, exactly one answer, leave the gates. The answer may come
before the code has ended (deadline, drain, caller gone); the slot stays taken until it has ended.
"""

import asyncio
import logging
import traceback
from collections.abc import AsyncIterable, Coroutine, Generator
from concurrent.futures import Executor, Future
from contextvars import copy_context
from functools import partial
from types import coroutine
from typing import Any, Final, Protocol

import msgspec

from omnitron.base.clock import Clock
from omnitron.base.errors import Cancelled, DeadlineExceeded, InvalidResult, OmnitronError, RemoteError
from omnitron.rpc.context import CallContext, set_current_call
from omnitron.rpc.runner import CHANGED, CLEAN, Runner
from omnitron.rpc.served import Interceptor, Invocation, Proceed, Served
from omnitron.wire.codec import NOT_SENDABLE, encode
from omnitron.wire.frames import END, ITEM, REPLY, STREAM_WINDOW_ITEMS, Body

log = logging.getLogger("omnitron.rpc")
MAX_TRACEBACK_CHARS: Final = 8192


class Answers(Protocol):
    """Where a call's answers go: the connection it came by."""

    full: bool
    caller: str

    def answer(self, kind: int, call_id: int, body: bytes, what: str) -> None:
        """Send an ITEM, or the last: a REPLY or END. Raises FrameTooLarge, and sends nothing, if it is too large."""

    def answer_error(self, call_id: int, error: OmnitronError, *, ran: bool = True) -> None:
        """Send an error instead of a result. ran: False if the method's code certainly was not reached."""

    def forget(self, call_id: int) -> None:
        """The call is answered."""


class Host(Protocol):
    """What running calls share: the server."""

    clock: Clock
    loop: asyncio.AbstractEventLoop
    runner: Runner
    interceptors: tuple[Interceptor, ...]
    draining: bool

    def threads(self) -> Executor:
        """Where plain functions run."""

    def progress(self) -> None:
        """Something a drain may be waiting for has happened."""


class Call(msgspec.Struct, eq=False):
    """A struct because it is the cheapest object to make: one per call.

    passed: gates it is through. credit: items its caller has room for. started: monotonic seconds.
    """

    host: Host
    conn: Answers
    call_id: int
    method: Served
    args: Body
    context: CallContext
    passed: int = 0
    credit: int = STREAM_WINDOW_ITEMS
    started: float = 0.0
    begun: bool = False
    answered: bool = False
    failed: bool = False
    task: asyncio.Task[None] | None = None
    thread: Future[Any] | None = None
    waker: asyncio.Future[None] | None = None

    # -- before it runs

    def admit(self) -> None:
        """Go through the gates that remain, and start when through. Raises Overloaded (and has left them all)."""
        try:
            for gate in self.method.gates[self.passed :]:
                if not gate.enter(self):
                    return
                self.passed += 1
        except OmnitronError:
            self._leave()
            raise
        if self.method.stream:
            self.task = self.host.runner.start(self._stream(), self.method.title)
        else:
            self.host.runner.add(self)

    def next_gate(self) -> None:
        """A gate where it waited let it in."""
        self.passed += 1
        if self.answered:  # stopped meanwhile
            self._leave()
            return
        try:
            self.admit()
        except OmnitronError as error:
            self.fail(error, ran=False)
        finally:
            self.host.runner.pause()

    # -- while it runs

    async def _stream(self) -> None:
        self.begun = True
        self.started = self.host.clock.monotonic()
        method = self.method
        try:
            if self.answered:
                return self.ended()
            args = method.decode(self.args)
            set_current_call(self.context)
            items = await self.indirect(args)
            try:
                await self._send_items(items)
            finally:
                if hasattr(items, "aclose"):
                    await items.aclose()
            if not self.answered:
                self.conn.answer(END, self.call_id, b"", method.title)
                self.answered = True
        except BaseException as error:
            self.raised(error)
        else:
            self.ended()

    async def _send_items(self, items: AsyncIterable[Any]) -> None:
        async for item in items:
            while not self.credit or self.conn.full:
                self.waker = self.host.loop.create_future()
                await self.waker
            self.credit -= 1
            try:
                body = encode(item)
            except NOT_SENDABLE as error:
                raise self._not_sendable(error) from error
            self.conn.answer(ITEM, self.call_id, body, self.method.title)

    def wake(self, credit: int = 0) -> None:
        self.credit += credit
        if self.waker is not None and not self.waker.done():
            self.waker.set_result(None)

    async def indirect(self, args: tuple[Any, ...]) -> Any:
        """Through the interceptors, into a thread, or with keyword arguments; a stream's result is its iterator."""
        invocation = Invocation(self.method.contract, args, self.context)

        async def target() -> Any:
            if self.method.threaded:
                return await self._in_thread(invocation.args)
            result = self.method.call(invocation.args)
            return result if self.method.contract.stream else await result

        proceed: Proceed = target
        for interceptor in reversed(self.host.interceptors):
            proceed = partial(interceptor, invocation, proceed)
        return await proceed()

    async def _in_thread(self, args: tuple[Any, ...]) -> Any:
        self.thread = self.host.threads().submit(copy_context().run, self.method.call, args)
        return await asyncio.wrap_future(self.thread)

    # -- answers

    def reply(self, result: Any) -> None:
        try:
            body = encode(result)
        except NOT_SENDABLE as error:
            raise self._not_sendable(error) from error
        self.conn.answer(REPLY, self.call_id, body, self.method.title)
        self.answered = True

    def _not_sendable(self, error: Exception) -> InvalidResult:
        return InvalidResult(f"{self.method.title} returned something that can not be sent: {error}.")

    def raised(self, error: BaseException) -> None:
        """The code has ended with an error."""
        self.failed = True
        if not self.answered:
            if isinstance(error, asyncio.CancelledError):
                self.fail(Cancelled(f"{self.method.title} was cancelled while it ran."))
            else:
                self.fail(_as_error(error, self.method.title))
        self.ended()
        if not isinstance(error, Exception | asyncio.CancelledError):
            raise error

    def fail(self, error: OmnitronError, *, ran: bool = True) -> None:
        """Answer with an error."""
        if not self.answered:
            self.failed = True
            self.conn.answer_error(self.call_id, error, ran=ran)
            self._done()

    def _done(self) -> None:
        self.answered = True
        self.conn.forget(self.call_id)

    # -- its end

    def stop(self, error: OmnitronError | None) -> None:
        """End it: answer with `error` if there still is somebody to hear it, cancel the code or the wait for it."""
        self.failed = True
        if error is None:
            self._done()
        else:
            self.fail(error)
        if self.begun and self.task is not None:
            self.task.cancel()
        elif self.passed < len(self.method.gates) and self.method.gates[self.passed].give_up(self):
            self._leave()

    def expired(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"{self.method.title} did not finish before its deadline.",
            remedy="Give it more time with deadline=, or find out what it waits for.",
            details={"method": self.method.title},
        )

    def ended(self) -> None:
        """Free its places when its code has ended."""
        if self.thread is not None and not self.thread.done():
            loop = self.host.loop  # a thread can not be interrupted: its slot is free when it is through
            self.thread.add_done_callback(lambda _: loop.is_closed() or loop.call_soon_threadsafe(self._free))
        else:
            self._free()

    def _free(self) -> None:
        host, stats = self.host, self.method.stats
        now = host.runner.now = host.clock.monotonic()
        took_s = now - self.started
        stats.calls += 1
        stats.busy_s += took_s
        if self.failed:
            stats.failed += 1
        for gate in self.method.gates:
            if (successor := gate.leave(took_s)) is not None:
                host.loop.call_soon(successor.next_gate)  # not at once: a queue would be a recursion
        if host.draining:
            host.progress()

    def _leave(self) -> None:
        """It will not run: free what it holds already."""
        passed, self.passed = self.method.gates[: self.passed], 0
        for gate in passed:
            if (successor := gate.leave()) is not None:
                self.host.loop.call_soon(successor.next_gate)


@coroutine
def run_calls() -> Generator[Any, Any, None]:
    """Unary calls, one after the other; see `runner.Calls`."""
    ended = CLEAN
    while True:
        call: Call = yield ended
        set_current_call(call.context)
        before = copy_context()
        method = call.method
        call.begun, call.started = True, call.host.runner.now
        try:
            if not call.answered:  # else it was stopped before its first step
                args = method.decode(call.args)
                coro: Coroutine[Any, Any, Any] = method.function(*args) if method.direct else call.indirect(args)
                result = yield from coro
                if not call.answered:
                    call.reply(result)
        except BaseException as error:
            call.raised(error)
        else:
            call.ended()
        try:
            ended = CLEAN if copy_context() == before else CHANGED
        except Exception:  # of a value that can not be compared: so it is not the one that was there
            ended = CHANGED


def _as_error(error: BaseException, title: str) -> OmnitronError:
    if isinstance(error, OmnitronError):
        return error
    log.error("%s raised %s: %s", title, type(error).__name__, error, exc_info=error)
    text = "".join(traceback.format_exception(error))[-MAX_TRACEBACK_CHARS:]
    return RemoteError(
        f"{title} raised {type(error).__name__}: {error}",
        details={"type": type(error).__name__, "message": str(error), "traceback": text},
    )
