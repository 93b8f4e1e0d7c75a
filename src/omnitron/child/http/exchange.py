"""One request and its answer, between the protocol that read it and the application that answers."""

import asyncio
from email.utils import formatdate
from typing import Any, Final

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

EXCHANGE: Final = "omnitron.exchange"
"""Key of an `Exchange` in a request's ASGI scope."""


class Calendar:
    """The Date header, made anew at most once a second, and only when there are requests."""

    __slots__ = ("_next", "_state", "line")

    def __init__(self, state: ServerState) -> None:
        self._state, self._next, self.line = state, 0.0, b""

    def turn(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._next:
            self._next = now + 1.0
            text = formatdate(usegmt=True).encode()
            self._state.default_headers = [(b"date", text)]
            self.line = b"date: " + text + b"\r\n"


class Exchange:
    """A request and its answer, as our application sees them. abandon: if the client goes, nobody wants the answer.

    expired: the protocol has answered. streaming: the answer may have no end, so a drain does not wait for it.
    """

    __slots__ = ("_calendar", "_flow", "abandon", "cycle", "expired", "streaming", "task")

    def __init__(self, flow: FlowControl, calendar: "Calendar") -> None:
        self._flow, self._calendar = flow, calendar
        self.cycle: RequestResponseCycle | None = None
        self.task: asyncio.Task[Any] | None = None
        self.abandon = self.expired = self.streaming = False

    @property
    def begun(self) -> bool:
        """Whether an answer, or part of one, is out."""
        return self.cycle is not None and self.cycle.response_started

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    def body(self) -> bytes | None:
        """All of the request's body if it is here already; else it must be received."""
        cycle = self.cycle
        return None if cycle is None or cycle.more_body else bytes(cycle.body)

    async def respond(self, head: bytes, body: bytes) -> None:
        """A whole answer in one write, where ASGI takes two. head: status line and headers, with line ends."""
        cycle = self.cycle
        if cycle is None or cycle.disconnected or cycle.response_started:
            return
        if self._flow.write_paused:
            await self._flow.drain()
        close = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        cycle.response_started = cycle.response_complete = True
        cycle.transport.write(b"".join((head, self._calendar.line, close, body)))
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()
