"""How a process can be reached from outside: HTTP, WebSocket."""

from typing import Literal

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.model.fields import Bytes, Seconds, need_positive, normalise_bytes, normalise_seconds


def _check_port(port: int, what: str) -> None:
    if not 0 <= port <= 65535:
        raise DefinitionError(f"The {what} port {port} is not between 0 and 65535.", remedy="0 picks a free port.")


class Http(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An HTTP/1.1 listener shared by all replicas of the process.

    port: 0 picks a free one and keeps it for the stack. host: the address to bind; loopback unless said otherwise.
    cors: True allows any origin; or the allowed origins. request_timeout: for the whole request (408).
    keep_alive_timeout: of an idle connection. headers_timeout: until the headers are in (408).
    max_request_size: of a body (413). max_header_size: of all headers together (431).
    """

    port: int
    host: str = "127.0.0.1"
    cors: bool | tuple[str, ...] = False
    request_timeout: Seconds = 60.0
    keep_alive_timeout: Seconds = 65.0
    headers_timeout: Seconds = 20.0
    max_request_size: Bytes = "10MiB"
    max_header_size: Bytes = "64KiB"
    max_connections: int = 10_000

    def __post_init__(self) -> None:
        _check_port(self.port, "HTTP")
        normalise_seconds(self, "request_timeout", "keep_alive_timeout", "headers_timeout")
        normalise_bytes(self, "max_request_size", "max_header_size")
        need_positive(self, "request_timeout", "headers_timeout", "max_header_size", "max_connections")


class KeepAlive(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ping every `interval`; a peer that does not answer within `timeout` is closed."""

    interval: Seconds = 30.0
    timeout: Seconds = 10.0

    def __post_init__(self) -> None:
        normalise_seconds(self, "interval", "timeout")
        need_positive(self, "interval", "timeout")


class WebSocket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A WebSocket listener on a port of its own."""

    port: int
    host: str = "127.0.0.1"
    path: str = "/ws"
    keep_alive: KeepAlive = KeepAlive()
    max_message_size: Bytes = "1MiB"
    slow_consumer: Literal["close", "drop_oldest"] = "close"

    def __post_init__(self) -> None:
        _check_port(self.port, "WebSocket")
        normalise_bytes(self, "max_message_size")
        need_positive(self, "max_message_size")


class Transports(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """None: not reachable from outside. RPC over Unix sockets between processes is always there."""

    http: Http | None = None
    websocket: WebSocket | None = None
