"""One method of a proxy: pick a replica, call it, and decide what a failure means.

A call that certainly did not run is tried elsewhere. One that may have run is tried again only if the method says
`idempotent`; else its caller learns that the worker died, and of what if the keeper knows.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from omnitron.base.clock import Clock
from omnitron.base.errors import (
    Cancelled,
    DeadlineExceeded,
    InvalidArguments,
    OmnitronError,
    Overloaded,
    WorkerDied,
)
from omnitron.rpc.context import current_call
from omnitron.rpc.contract import MethodContract
from omnitron.rpc.endpoints import Endpoint
from omnitron.rpc.inbox import Inbox
from omnitron.rpc.link import Link
from omnitron.rpc.moved import Moved
from omnitron.rpc.outcomes import CallRefused, LinkLost
from omnitron.rpc.pool import Route, Routes
from omnitron.wire.codec import NOT_SENDABLE, encode
from omnitron.wire.frames import STREAM_WINDOW_ITEMS, Body

MAX_ATTEMPTS: Final = 8
WORKER_GONE_S: Final = 0.5
"""How long a failed call waits to learn what its worker died of."""
_STOPPED: Final = ("drain", "close")
WorkerGone = Callable[[str, int], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What holds for every call of a proxy. key: for consistent hashing. deadline_s: seconds for each call."""

    key: str | None = None
    deadline_s: float | None = None


class Caller:
    __slots__ = ("_clock", "_deadline_s", "_has_key", "_method", "_options", "_routes", "_worker_gone")

    def __init__(
        self,
        method: MethodContract,
        routes: Routes,
        options: CallOptions,
        clock: Clock,
        default_deadline_s: float,
        worker_gone: WorkerGone | None,
    ) -> None:
        self._method, self._routes, self._options, self._clock = method, routes, options, clock
        own_s = options.deadline_s if options.deadline_s is not None else method.mark.deadline_s
        self._deadline_s = own_s if own_s is not None or method.stream else default_deadline_s
        self._has_key = options.key is not None or method.mark.key is not None
        self._worker_gone = worker_gone

    async def unary(self, *args: Any, **kwargs: Any) -> Any:
        method, routes = self._method, self._routes
        if kwargs or not method.required <= len(args) <= method.positional:
            args = method.bind(args, kwargs)
        try:
            body = encode(args)
        except NOT_SENDABLE as error:
            raise self._not_sendable(error) from error
        key = self._key(args) if self._has_key else None
        now, deadline, context = self._limits()
        tried: list[Link] = []
        while True:
            route = routes.pick(key, tried)
            if route is None or (link := route.link) is None:
                await routes.wait(deadline)
                now = self._clock.monotonic()
                continue
            call_id = 0
            try:
                call_id, answer = link.call(method, body, context, deadline, now)
                return method.decode_result(await answer)
            except asyncio.CancelledError:
                link.cancel(call_id)
                raise
            except (LinkLost, CallRefused, Cancelled) as error:
                await self._again(error, route, link, tried, key, begun=False)
                now = self._clock.monotonic()

    async def stream(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        method, routes = self._method, self._routes
        args = method.bind(args, kwargs)
        try:
            body = encode(args)
        except NOT_SENDABLE as error:
            raise self._not_sendable(error) from error
        key = self._key(args) if self._has_key else None
        now, deadline, context = self._limits()
        tried: list[Link] = []
        while True:
            route = routes.pick(key, tried)
            if route is None or (link := route.link) is None:
                await routes.wait(deadline)
                now = self._clock.monotonic()
                continue
            begun = False
            try:
                call_id, inbox = link.open(method, body, context, deadline, now)
                try:
                    while (item := await _next_item(link, call_id, inbox)) is not None:
                        begun = True
                        yield method.decode_result(item)
                    return
                finally:
                    link.cancel(call_id)
            except (LinkLost, CallRefused, Cancelled, Moved) as error:
                if begun and not isinstance(error, LinkLost):
                    raise
                await self._again(error, route, link, tried, key, begun)
                now = self._clock.monotonic()

    def _not_sendable(self, error: Exception) -> InvalidArguments:
        return InvalidArguments(f"{self._method.title} got an argument that can not be sent: {error}.")

    def _key(self, bound: tuple[Any, ...]) -> str | None:
        return self._options.key if self._options.key is not None else self._method.key_of(bound)

    def _limits(self) -> tuple[float, float | None, Body]:
        """Now, the deadline, and what the call being served passes on to this one."""
        now = self._clock.monotonic()
        deadline = None if self._deadline_s is None else now + self._deadline_s
        served = current_call()
        if served is None:
            return now, deadline, b""
        if served.deadline is not None and (deadline is None or served.deadline < deadline):
            deadline = served.deadline
            if deadline <= now:
                raise self._too_late()
        return now, deadline, served.raw

    def _too_late(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"{self._method.title} could not be called before the deadline.",
            remedy="Give the call, or the one it is part of, more time.",
            details={"method": self._method.title},
        )

    async def _again(
        self, error: OmnitronError, route: Route, link: Link, tried: list[Link], key: str | None, begun: bool
    ) -> None:
        """Return if the call is to be tried once more, else raise what its caller should see."""
        tried.append(link)
        if isinstance(error, CallRefused):
            final: OmnitronError = error.error
            if isinstance(final, Overloaded) and self._routes.pick(key, tried) is None:
                raise final from None
        elif isinstance(error, Moved) or (isinstance(error, Cancelled) and error.details.get("by") in _STOPPED):
            final = error
            if not (self._method.mark.idempotent or isinstance(error, Moved)):
                raise final
        elif isinstance(error, LinkLost):
            final = self._died(route.endpoint, None)
            if begun or not self._method.mark.idempotent:
                raise self._died(route.endpoint, await self._reason(route.endpoint)) from None
        else:
            raise error
        if len(tried) >= MAX_ATTEMPTS:
            raise final from None

    async def _reason(self, endpoint: Endpoint) -> str | None:
        if self._worker_gone is None:
            return None
        try:
            async with asyncio.timeout(WORKER_GONE_S):
                return await self._worker_gone(endpoint.replica, endpoint.incarnation)
        except (TimeoutError, OmnitronError):
            return None  # the caller is told of the death without its cause

    def _died(self, endpoint: Endpoint, reason: str | None) -> WorkerDied:
        return WorkerDied(
            f"{endpoint.replica} died while it ran {self._method.title}" + (f": {reason}." if reason else "."),
            remedy="The call may have run. Mark the method idempotent=True if running it twice does no harm.",
            details={"replica": endpoint.replica, "incarnation": endpoint.incarnation, "reason": reason},
        )


async def _next_item(link: Link, call_id: int, inbox: Inbox) -> Body | None:
    """The next item, or None at the end. Gives credit for what was taken in halves of the window."""
    while not inbox.items:
        if inbox.error is not None:
            raise inbox.error
        if inbox.ended:
            return None
        inbox.waiter = link.loop.create_future()
        await inbox.waiter
    inbox.taken += 1
    if inbox.taken >= STREAM_WINDOW_ITEMS // 2:
        link.grant(call_id, inbox.taken)
        inbox.taken = 0
    return inbox.items.popleft()
