"""One call while it is on the server: waiting, running, answered.

Its life: `admit` through the method's gates, start a task, exactly one answer, leave the gates. The answer may come
before the code has ended (deadline, drain, caller gone); the slot stays taken until it has ended.
"""

import asyncio
import logging
import sys
import traceback
from concurrent.futures import Executor, Future
from contextvars import copy_context
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from omnitron.base.clock import Clock
from omnitron.base.errors import Cancelled, DeadlineExceeded, InvalidResult, OmnitronError, RemoteError
from omnitron.rpc.context import received_context, set_current_call
from omnitron.rpc.served import Interceptor, Invocation, Proceed, Served
from omnitron.wire.codec import encode
from omnitron.wire.frames import END, ITEM, REPLY, Body

log = logging.getLogger("omnitron.rpc")
MAX_TRACEBACK_CHARS: Final = 8192
_EAGER: Final = sys.version_info >= (3, 12)


class Answers(Protocol):
    """Where a call's answers go: the connection it came by."""

    full: bool
    caller: str

    def answer(self, kind: int, call_id: int, body: bytes, what: str) -> None:
        """Send one; raises FrameTooLarge and sends nothing if it is too large."""

    def answer_error(self, call_id: int, error: OmnitronError, *, ran: bool = True) -> None:
        """Send an error instead of a result. ran: False if the method's code certainly was not reached."""

    def forget(self, call_id: int) -> None:
        """The call is answered."""


class Host(Protocol):
    """What running calls share: the server."""

    clock: Clock
    interceptors: tuple[Interceptor, ...]

    def threads(self) -> Executor:
        """Where plain functions run."""

    def ended(self, call: "Call", failed: bool) -> None:
        """The call's code is over; its slot is free."""


class Call:
    __slots__ = (
        "answered", "args", "call_id", "conn", "context", "credit", "deadline", "failed", "host", "method", "passed",
        "started", "task", "thread", "waker",
    )  # fmt: skip

    def __init__(
        self, host: Host, conn: Answers, call_id: int, method: Served, args: Body, context: Body, deadline: float | None
    ) -> None:
        self.host, self.conn, self.call_id, self.method = host, conn, call_id, method
        self.args, self.context, self.deadline = args, context, deadline
        self.passed = 0
        self.credit = 0
        self.started = 0.0
        self.answered = self.failed = False
        self.task: asyncio.Task[None] | None = None
        self.thread: Future[Any] | None = None
        self.waker: asyncio.Future[None] | None = None

    # -- before it runs

    def admit(self) -> None:
        """Go through the gates that remain, and start when through. Raises Overloaded (and has left them all)."""
        gates = self.method.gates
        while self.passed < len(gates):
            try:
                if not gates[self.passed].enter(self):
                    return
            except OmnitronError:
                self._leave(None)
                raise
            self.passed += 1
        self._start()

    def next_gate(self) -> None:
        """A gate where it waited let it in."""
        self.passed += 1
        if self.answered:  # stopped meanwhile
            self._leave(None)
            return
        try:
            self.admit()
        except OmnitronError as error:
            self.fail(error, ran=False)

    def _start(self) -> None:
        self.started = self.host.clock.monotonic()
        loop = asyncio.get_running_loop()
        coro = self._stream() if self.method.contract.stream else self._unary()
        if _EAGER:  # an eager task that never waits costs no turn of the loop
            task = asyncio.Task(coro, loop=loop, eager_start=True)  # type: ignore[call-arg,unused-ignore]
            if not task.done():
                self.task = task
        else:
            self.task = loop.create_task(coro)

    # -- while it runs

    async def _unary(self) -> None:
        method = self.method
        try:
            args = method.contract.decode_args(self.args)
            context = received_context(self.context, self.deadline, self.conn.caller)
            set_current_call(context)
            if self.host.interceptors:
                result = await self._intercepted(Invocation(method.contract, args, context))
            elif method.threaded:
                result = await self._in_thread(args)
            else:
                result = await method.call(args)
            if not self.answered:
                self._answer(REPLY, result)
                self._done()
        except BaseException as error:
            self._raised(error)
        finally:
            self._ended()

    async def _stream(self) -> None:
        method = self.method
        try:
            args = method.contract.decode_args(self.args)
            context = received_context(self.context, self.deadline, self.conn.caller)
            set_current_call(context)
            items = await self._intercepted(Invocation(method.contract, args, context))
            try:
                async for item in items:
                    while not self.credit or self.conn.full:
                        await self._room()
                    self.credit -= 1
                    self._answer(ITEM, item)
            finally:
                if hasattr(items, "aclose"):
                    await items.aclose()
            if not self.answered:
                self.conn.answer(END, self.call_id, b"", method.contract.title)
                self._done()
        except BaseException as error:
            self._raised(error)
        finally:
            self._ended()

    async def _room(self) -> None:
        """Wait until the consumer has room and the socket is not full."""
        self.waker = asyncio.get_running_loop().create_future()
        await self.waker

    def wake(self, credit: int = 0) -> None:
        self.credit += credit
        if self.waker is not None and not self.waker.done():
            self.waker.set_result(None)

    async def _intercepted(self, invocation: Invocation) -> Any:
        async def target() -> Any:
            if self.method.contract.stream:
                return self.method.call(invocation.args)
            if self.method.threaded:
                return await self._in_thread(invocation.args)
            return await self.method.call(invocation.args)

        proceed: Proceed = target
        for interceptor in reversed(self.host.interceptors):
            proceed = partial(interceptor, invocation, proceed)
        return await proceed()

    async def _in_thread(self, args: tuple[Any, ...]) -> Any:
        self.thread = self.host.threads().submit(copy_context().run, self.method.call, args)
        return await asyncio.wrap_future(self.thread)

    # -- answers

    def _answer(self, kind: int, result: Any) -> None:
        title = self.method.contract.title
        try:
            body = encode(result)
        except (TypeError, ValueError, NotImplementedError, msgspec.MsgspecError) as error:
            raise InvalidResult(f"{title} returned something that can not be sent: {error}.") from error
        self.conn.answer(kind, self.call_id, body, f"The answer of {title}")

    def _raised(self, error: BaseException) -> None:
        self.failed = True
        if not self.answered:
            if isinstance(error, asyncio.CancelledError):
                self.fail(Cancelled(f"{self.method.contract.title} was cancelled while it ran."))
            else:
                self.fail(_as_error(error, self.method.contract.title))
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
        if self.task is not None:
            self.task.cancel()
        elif self.passed < len(self.method.gates) and self.method.gates[self.passed].give_up(self):
            self._leave(None)

    def expired(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"{self.method.contract.title} did not finish before its deadline.",
            remedy="Give it more time with deadline=, or find out what it waits for.",
            details={"method": self.method.contract.title},
        )

    def _ended(self) -> None:
        if self.thread is not None and not self.thread.done():
            loop = asyncio.get_running_loop()  # a thread can not be interrupted: its slot is free when it is through
            self.thread.add_done_callback(lambda _: None if loop.is_closed() else _call_soon(loop, self._free))
        else:
            self._free()

    def _free(self) -> None:
        took_s = self.host.clock.monotonic() - self.started
        stats = self.method.stats
        stats.calls += 1
        stats.failed += self.failed
        stats.busy_s += took_s
        self._leave(took_s)
        self.host.ended(self, self.failed)

    def _leave(self, took_s: float | None) -> None:
        gates, passed, self.passed = self.method.gates, self.passed, 0
        for gate in reversed(gates[:passed]):
            if (successor := gate.leave(took_s)) is not None:
                asyncio.get_running_loop().call_soon(successor.next_gate)  # not at once: a queue would be a recursion


def _call_soon(loop: asyncio.AbstractEventLoop, function: Any) -> None:
    loop.call_soon_threadsafe(function)


def _as_error(error: BaseException, title: str) -> OmnitronError:
    if isinstance(error, OmnitronError):
        return error
    log.error("%s raised %s: %s", title, type(error).__name__, error, exc_info=error)
    text = "".join(traceback.format_exception(error))[-MAX_TRACEBACK_CHARS:]
    return RemoteError(
        f"{title} raised {type(error).__name__}: {error}",
        details={"type": type(error).__name__, "message": str(error), "traceback": text},
    )
