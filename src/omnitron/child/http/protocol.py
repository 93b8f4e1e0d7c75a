"""One HTTP connection: uvicorn's httptools protocol with the limits of `Http`, and a way to leave without loss.

A refusal is written by us and not by the application, and the connection then *lingers*: what the client still sends is
read and dropped for a moment, since closing a socket with unread data resets it, and the answer would be lost.
"""

import array
import asyncio
import fcntl
import termios
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from omnitron.child.http.exchange import EXCHANGE, Calendar, Exchange
from omnitron.child.http.problems import Problem
from omnitron.model.transports import Http

LINGER_S: Final = 2.0


class Edge:
    """What the connections of a server share."""

    def __init__(self, limits: Http, state: ServerState) -> None:
        self.limits = limits
        self.state = state
        self.draining = False
        self.refused = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self.calendar = Calendar(state)

    @property
    def connections(self) -> "list[LimitedProtocol]":
        """But for those that have become WebSockets."""
        return [connection for connection in self.state.connections if isinstance(connection, LimitedProtocol)]

    @property
    def sockets(self) -> list[Any]:
        """WebSockets of a user's application: uvicorn's own protocol objects."""
        return [connection for connection in self.state.connections if not isinstance(connection, LimitedProtocol)]

    def watch(self) -> None:
        """A request has begun: see that it ends in time. One timer for all of them."""
        if self._sweeper is None:
            every_s = min(1.0, float(self.limits.request_timeout) / 4)
            self._sweeper = asyncio.get_running_loop().call_later(every_s, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        busy = [connection for connection in self.connections if connection.busy]
        oldest = asyncio.get_running_loop().time() - float(self.limits.request_timeout)
        for connection in busy:
            if connection.began <= oldest:
                connection.expire()
        if busy:
            self.watch()

    def close(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None


class LimitedProtocol(HttpToolsProtocol):
    def __init__(self, config: Config, edge: Edge, app_state: dict[str, Any]) -> None:
        super().__init__(config, edge.state, app_state)
        self.edge = edge
        self.began = 0.0
        self.idle_since = self.loop.time()
        self._in_head = False
        self._head_bytes = 0
        self._head_timer: asyncio.TimerHandle | None = None
        self._body_bytes = 0
        self._refused = False

    @property
    def busy(self) -> bool:
        """Whether an answer is owed."""
        return self._in_head or (self.cycle is not None and not self.cycle.response_complete)

    @property
    def exchange(self) -> Exchange | None:
        found = self.cycle.scope.get(EXCHANGE) if self.cycle is not None else None
        return found if isinstance(found, Exchange) else None

    # -- connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        limit = self.edge.limits.max_connections
        if len(self.connections) > limit:
            self.refuse(Problem(503, "overloaded", f"There are {limit} connections.", "Raise Http.max_connections."))
        else:
            self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        exchange = self.exchange
        if exchange is not None and exchange.abandon and self.busy:
            exchange.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        more_of_head = self._in_head
        super().data_received(data)
        if self._in_head and not self._refused:
            self._start_head_timer()
            if more_of_head:
                self._head_bytes += len(data)
                if self._head_bytes > int(self.edge.limits.max_header_size):
                    self._refuse_head()

    # -- request, as the parser finds it

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = self._body_bytes = 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_head_timer()
        if self._refused:
            return
        limits, length = self.edge.limits, 0
        size = len(self.url)
        for name, value in self.headers:
            size += len(name) + len(value) + 4
            if name == b"content-length":
                length = int(value) if value.isdigit() else 0
        if size > int(limits.max_header_size):
            return self._refuse_head()
        if length > int(limits.max_request_size):
            return self._refuse_body(f"{length} bytes")
        self.edge.calendar.turn()
        self.began = self.loop.time()
        exchange = self.scope[EXCHANGE] = Exchange(self.flow, self.edge.calendar)  # type: ignore[typeddict-unknown-key]
        super().on_headers_complete()
        exchange.cycle = self.cycle
        if self.edge.draining and self.cycle is not None:
            self.cycle.keep_alive = False
        self.edge.watch()

    def on_body(self, body: bytes) -> None:
        if self._refused:
            return
        self._body_bytes += len(body)
        if self._body_bytes > int(self.edge.limits.max_request_size):
            return self._refuse_body("more")
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._refused:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        self.idle_since = self.loop.time()
        super().on_response_complete()

    # -- refusals

    def refuse(self, problem: Problem) -> None:
        """Answer in place of the application, if it has not begun to, and close."""
        self._refused = True
        self.edge.refused += 1
        self._stop_head_timer()
        cycle = self.cycle
        begun = cycle is not None and not cycle.response_complete and cycle.response_started
        waiting = bool(self.pipeline) or (cycle is not None and not cycle.response_complete and self._in_head)
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        if begun or waiting:  # an answer to another request, or half of one, is on its way: nothing can be said
            self.transport.abort()
            return
        self.transport.write(problem.raw())
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.flow.resume_reading()
        self.loop.call_later(LINGER_S, self.transport.close)

    def _refuse_head(self) -> None:
        limit = self.edge.limits.max_header_size
        self.refuse(
            Problem(431, "headers_too_large", f"The headers are larger than {limit} bytes.", _raise("max_header_size"))
        )

    def _refuse_body(self, size: str) -> None:
        limit = self.edge.limits.max_request_size
        self.refuse(
            Problem(
                413, "request_too_large", f"The body has {size}, of at most {limit} bytes.", _raise("max_request_size")
            )
        )

    def expire(self) -> None:
        """`request_timeout` is over: 408 if the client has not sent all, 504 if the application has not answered."""
        cycle, exchange = self.cycle, self.exchange
        if cycle is None or cycle.response_started:
            return
        limit = f"{float(self.edge.limits.request_timeout):g} s"
        late = Problem(
            408, "request_timeout", f"The request was not complete after {limit}.", _raise("request_timeout")
        )
        slow = Problem(504, "deadline_exceeded", f"There was no answer after {limit}.", _raise("request_timeout"))
        self.refuse(late if cycle.more_body else slow)
        if exchange is not None:
            exchange.expired = True
            exchange.cancel()

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            wait_s = float(self.edge.limits.headers_timeout)
            self._head_timer = self.loop.call_later(wait_s, self._head_late)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_late(self) -> None:
        self._head_timer = None
        if not self._in_head:  # nothing was ever sent, so there is nothing to answer
            self.transport.close()
            return
        limit = f"{float(self.edge.limits.headers_timeout):g} s"
        detail = f"The headers were not complete after {limit}."
        self.refuse(Problem(408, "request_timeout", detail, _raise("headers_timeout")))

    # -- the drain

    def begin_drain(self) -> None:
        """Say "Connection: close" in the answer that is owed, unless its headers are out already."""
        if self.cycle is not None and not self.cycle.response_complete and not self.cycle.response_started:
            self.cycle.keep_alive = False

    def close_if_idle(self, since: float) -> None:
        """Close if no request was made after `since`, and none has arrived that we have not read yet."""
        if not self.busy and self.idle_since <= since and not self._unread():
            self.transport.close()

    def _unread(self) -> bool:
        sock = self.transport.get_extra_info("socket")
        if sock is None or sock.fileno() < 0:
            return False
        count = array.array("i", [0])
        fcntl.ioctl(sock.fileno(), termios.FIONREAD, count)
        return count[0] > 0


def _raise(knob: str) -> str:
    return f"If it is legitimate, raise Http.{knob} of the process."
