"""A client's connection to one server: calls out, answers in.

It knows nothing of pools and retries. Whatever happens, a call that was begun here gets exactly one outcome: its
answer, an error, `LinkLost` when the connection ends, or DeadlineExceeded.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from omnitron.base.clock import Clock
from omnitron.base.errors import (
    DeadlineExceeded,
    FrameTooLarge,
    InternalError,
    MethodNotFound,
    NotExecuted,
    OmnitronError,
    Overloaded,
    ServiceNotFound,
)
from omnitron.base.names import suggest
from omnitron.rpc.contract import MethodContract
from omnitron.rpc.inbox import Inbox
from omnitron.rpc.outcomes import CallRefused, LinkLost
from omnitron.rpc.pipe import Pipe
from omnitron.rpc.versions import best_version
from omnitron.wire.envelope import MAX_DEADLINE_MS, Hello, call_head, decode_hello, encode_credit, encode_hello
from omnitron.wire.failures import decode_error
from omnitron.wire.frames import (
    CANCEL,
    CREDIT,
    END,
    ERROR,
    GOAWAY,
    HELLO,
    ITEM,
    MAX_FRAME_BYTES,
    PING,
    PONG,
    REPLY,
    Body,
    frame,
    too_large,
)

MAX_PENDING: Final = 16384
"""Calls without an answer on one connection."""
_Future = asyncio.Future
SWEEP_S: Final = 0.025
"""Deadlines are kept to this precision."""


class Link(Pipe):
    """`ready` is done when the server has said what it offers; `closed` when the connection is over."""

    def __init__(
        self,
        clock: Clock,
        *,
        who: str = "",
        on_change: Callable[["Link"], None] | None = None,
        max_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> None:
        super().__init__(max_frame_bytes)
        self._max_args_bytes = max_frame_bytes - 64
        self.clock = clock
        self.who = who
        self.pending: dict[int, tuple[asyncio.Future[Body], float | None, str]] = {}
        self.streams: dict[int, tuple[Inbox, float | None, str]] = {}
        self.hello = Hello()
        self.ready: asyncio.Future[None] = self.loop.create_future()
        self.closed: asyncio.Future[None] = self.loop.create_future()
        self.going_away = self.leaving = False
        self._on_change = on_change
        self._ids: dict[MethodContract, int] = {}
        self._last_id = 0
        self._alone = True
        self._sweeper: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        state = "closed" if self.closed.done() else "going away" if self.going_away else "open"
        return f"<Link to {self.hello.who or 'unknown'} {state} pending={len(self.pending)}>"

    @property
    def in_flight(self) -> int:
        return len(self.pending) + len(self.streams)

    # -- out

    def call(
        self, method: MethodContract, args: bytes, context: Body, deadline: float | None, now: float
    ) -> tuple[int, "asyncio.Future[Body]"]:
        """Begin a call; the id is for `cancel`. deadline and now: on the clock. Raises what kept it from being sent."""
        call_id = self._begin(method, args, context, deadline, now)
        answer: asyncio.Future[Body] = _Future(loop=self.loop)
        self.pending[call_id] = (answer, deadline, method.title)
        if self._alone and len(self.pending) == 1:  # nobody else calls: nothing would join this write
            self.flush()
        return call_id, answer

    def open(
        self, method: MethodContract, args: bytes, context: Body, deadline: float | None, now: float
    ) -> tuple[int, Inbox]:
        """Begin a stream; raises like `call`."""
        call_id = self._begin(method, args, context, deadline, now)
        inbox = Inbox()
        self.streams[call_id] = (inbox, deadline, method.title)
        return call_id, inbox

    def _begin(self, method: MethodContract, args: bytes, context: Body, deadline: float | None, now: float) -> int:
        method_id = self._ids.get(method)
        if method_id is None:
            method_id = self._ids[method] = self._find(method)
        if len(self.pending) >= MAX_PENDING:
            raise Overloaded(
                f"{len(self.pending)} calls wait for an answer from {self.hello.who}, the limit of a connection.",
                remedy="Bound how many calls are made at once.",
            )
        deadline_ms = 0
        if deadline is not None:
            deadline_ms = int((deadline - now) * 1000)
            if not 0 < deadline_ms <= MAX_DEADLINE_MS:
                deadline_ms = 1 if deadline_ms < 1 else MAX_DEADLINE_MS
            if self._sweeper is None:
                self._sweeper = self.loop.call_later(SWEEP_S, self._sweep)
        args_bytes = len(args)
        if args_bytes + len(context) > self._max_args_bytes:
            raise too_large(args_bytes, self.max_frame_bytes, f"The call of {method.title}")
        self._last_id = call_id = (self._last_id + 1) & 0xFFFFFFFF
        self.send(call_head(call_id, method_id, deadline_ms, context, args_bytes), args)
        return call_id

    def _find(self, method: MethodContract) -> int:
        versions = [offer for offer in self.hello.offers if offer.service == method.service]
        version = best_version(method.version, [offer.version for offer in versions])
        for offer in versions:
            if offer.version == version:
                if method.name in offer.methods:
                    return offer.first_id + offer.methods.index(method.name)
                raise MethodNotFound(
                    f"{offer.service}@{version} of {self.hello.who} has no method {method.name!r}."
                    + suggest(method.name, offer.methods),
                    remedy="Mark it @rpc, and reload the process if its code is newer.",
                )
        offered = [f"{offer.service}@{offer.version}" for offer in self.hello.offers]
        raise ServiceNotFound(
            f"{self.hello.who or 'The server'} does not offer {method.service}@{method.version}, but {offered}.",
            remedy="Call a version that is offered.",
        )

    def cancel(self, call_id: int) -> None:
        """Nobody waits for the call any more."""
        if self.pending.pop(call_id, None) or self.streams.pop(call_id, None):
            self.send(frame(CANCEL, call_id))
            self._check_done()

    def grant(self, call_id: int, items: int) -> None:
        """There is room for more items of a stream."""
        if call_id in self.streams:
            self.send(frame(CREDIT, call_id, encode_credit(items)))

    def ping(self, call_id: int = 0) -> None:
        self.send(frame(PING, call_id))

    # -- in

    def data_received(self, data: bytes) -> None:
        pending, on_frame = self.pending, self.on_frame
        try:
            frames = self._decoder.feed(data)
            self._alone = len(frames) == 1
            for kind, call_id, body in frames:
                if kind != REPLY:
                    on_frame(kind, call_id, body)
                elif (entry := pending.pop(call_id, None)) is not None and not (answer := entry[0]).done():
                    answer.set_result(body)
        except OmnitronError as error:
            self.on_broken(error)
        if self.leaving:
            self._check_done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.send(frame(HELLO, 0, encode_hello(Hello(who=self.who))))
        self.flush()

    def on_frame(self, kind: int, call_id: int, body: Body) -> None:
        if kind == ITEM:
            if (stream := self.streams.get(call_id)) is not None:
                stream[0].put(body)
        elif kind == ERROR:
            error, ran = decode_error(body)
            self._fail(call_id, error if ran or not isinstance(error, NotExecuted) else CallRefused(error))
        elif kind == END:
            if (stream := self.streams.pop(call_id, None)) is not None:
                stream[0].end()
        elif kind == HELLO:
            self.hello = decode_hello(body)
            if not self.ready.done():
                self.ready.set_result(None)
        elif kind == GOAWAY:
            self.going_away = True
            if self._on_change is None:  # of no pool: there is nowhere else to go, and the server need not wait for us
                self.send(frame(GOAWAY))
            self._changed()
        elif kind == PING:
            self.send(frame(PONG, call_id))
        elif kind != PONG:
            raise InternalError(f"A server sent a frame of kind {kind}.")

    def _fail(self, call_id: int, error: OmnitronError) -> None:
        if (entry := self.pending.pop(call_id, None)) is not None:
            if not entry[0].done():
                entry[0].set_exception(error)
        elif (stream := self.streams.pop(call_id, None)) is not None:
            stream[0].end(error)

    def _sweep(self) -> None:
        self._sweeper = None
        now, more = self.clock.monotonic(), False
        for table in (self.pending, self.streams):
            for call_id, (_, deadline, title) in list(table.items()):
                if deadline is None:
                    continue
                if deadline <= now:
                    self.send(frame(CANCEL, call_id))
                    self._fail(call_id, self._expired(title))
                else:
                    more = True
        if more:
            self._sweeper = self.loop.call_later(SWEEP_S, self._sweep)

    def _expired(self, title: str) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"{title} of {self.hello.who or 'the server'} did not answer before the deadline.",
            remedy="Give it more time with deadline=, or find out what it waits for.",
            details={"method": title, "replica": self.hello.who},
        )

    # -- its end

    def leave(self) -> None:
        """Say that no call of ours follows: the connection ends with the last answer."""
        self.leaving = True
        self.send(frame(GOAWAY))
        self._check_done()

    def _check_done(self) -> None:
        if self.leaving and not self.in_flight:
            self.finish()

    def on_broken(self, error: OmnitronError) -> None:
        if isinstance(error, FrameTooLarge):  # the one fault of the peer that its caller should hear of
            for call_id in [*self.pending, *self.streams]:
                self._fail(call_id, error)
        super().on_broken(error)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for call_id in [*self.pending, *self.streams]:
            self._fail(call_id, LinkLost(f"The connection to {self.hello.who or 'the server'} ended."))
        if not self.ready.done():
            self.ready.set_result(None)
        if not self.closed.done():
            self.closed.set_result(None)
        self._changed()

    def _changed(self) -> None:
        if self._on_change is not None:
            self._on_change(self)


async def open_link(path: str, clock: Clock, timeout_s: float, **options: Any) -> Link:
    """Connect and wait for the server's HELLO. Raises OSError (TimeoutError too) if there is none."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(timeout_s):
        _, link = await loop.create_unix_connection(lambda: Link(clock, **options), path)
        try:
            await link.ready
        except BaseException:
            link.abort()
            raise
    if link.closed.done():
        raise ConnectionResetError(f"{path}: closed before it said hello")
    return link
