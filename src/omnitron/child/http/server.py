"""An HTTP server on an inherited listening socket, inside the replica's event loop.

The surprise is the drain. The socket is shared with the successor, so nobody is refused when we stop accepting. But a
client may send a request on an idle keep-alive connection in the very moment we close it, and has lost it then. So
we first answer whatever comes with "Connection: close" for PRE_DRAIN_S seconds, and close only connections that have
been silent for that long and have nothing unread in the kernel.
"""

import asyncio
import socket
from typing import Any, Final

import uvicorn
from uvicorn.lifespan.off import LifespanOff
from uvicorn.lifespan.on import LifespanOn
from uvicorn.server import ServerState

from omnitron.base.errors import DefinitionError
from omnitron.child.http.protocol import Edge, LimitedProtocol
from omnitron.model.transports import Http

PRE_DRAIN_S: Final = 0.5
TICK_S: Final = 0.02
ACCEPTED_S: Final = 0.1
"""How long what the event loop had just accepted may take to become a connection we know of."""
STREAM_GRACE_S: Final = 1.0
"""How long a drain lets answers without an end go on."""
BACKLOG: Final = 1024
_LONGEST_KEEP_ALIVE_S: Final = 24 * 3600


def configure(app: Any, http: Http, *, ours: bool) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none" if ours else "auto",
        lifespan="off" if ours else "auto",
        interface="asgi3" if ours else "auto",
        proxy_headers=not ours,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=min(float(http.keep_alive_timeout), _LONGEST_KEEP_ALIVE_S),  # type: ignore[arg-type]
    )


class HttpServer:
    """app: an ASGI application. ours: it is Omnitron's own, else a user's, with lifespan and WebSockets."""

    def __init__(self, app: Any, http: Http, sock: socket.socket, *, ours: bool) -> None:
        self._sock = sock
        self._config = configure(app, http, ours=ours)
        self._edge = Edge(http, ServerState())
        self._lifespan: LifespanOn | LifespanOff | None = None
        self._server: asyncio.Server | None = None

    @property
    def in_flight(self) -> int:
        return sum(connection.busy for connection in self._edge.connections)

    @property
    def requests(self) -> int:
        """Answered since the start, refused ones included."""
        return self._edge.state.total_requests + self._edge.refused

    async def start(self) -> None:
        """Begin to accept. Raises DefinitionError if the application's lifespan does not start."""
        config, edge = self._config, self._edge
        if not config.loaded:
            config.load()
        self._lifespan = lifespan = config.lifespan_class(config)
        await lifespan.startup()
        if lifespan.should_exit:
            raise DefinitionError("The application's lifespan failed to start.", remedy="Its log says why.")
        self._server = await asyncio.get_running_loop().create_server(
            lambda: LimitedProtocol(config, edge, lifespan.state), sock=self._sock, backlog=BACKLOG
        )

    async def drain(self, timeout_s: float) -> int:
        """Stop accepting, let every client go, as said above; the number of requests cut off after `timeout_s`."""
        loop, edge = asyncio.get_running_loop(), self._edge
        begun = loop.time()
        edge.draining = True
        if self._server is not None:
            self._server.close()
        for connection in edge.connections:
            connection.begin_drain()
        while (now := loop.time()) < begun + timeout_s and (edge.state.connections or now < begun + ACCEPTED_S):
            if now > begun + STREAM_GRACE_S:
                self._end_streams()
            since = now - PRE_DRAIN_S
            for connection in edge.connections if since >= begun else ():
                connection.close_if_idle(since)
            await asyncio.sleep(TICK_S)
        return self.in_flight

    def _end_streams(self) -> None:
        for websocket in self._edge.sockets:
            websocket.shutdown()  # says 1012, "service restart"
        for connection in self._edge.connections:
            if (exchange := connection.exchange) is not None and exchange.streaming and connection.busy:
                exchange.cancel()

    async def close(self) -> None:
        """Cut what is left, and end the application's lifespan."""
        if self._server is not None:
            self._server.close()
        for connection in self._edge.connections:
            if (exchange := connection.exchange) is not None and connection.busy:
                exchange.cancel()
            connection.transport.close()
        self._edge.close()
        if self._lifespan is not None:
            await self._lifespan.shutdown()
