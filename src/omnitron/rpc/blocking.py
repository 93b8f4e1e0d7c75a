"""A client without an event loop, for command lines: it imports no asyncio, so that it starts quickly.

One connection, one call at a time. A call on a connection that the server has closed meanwhile begins a new one.
"""

import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from typing import Any, Final

from omnitron.base.errors import (
    DeadlineExceeded,
    InternalError,
    MethodNotFound,
    ServiceNotFound,
    Unavailable,
    WorkerDied,
)
from omnitron.base.names import suggest
from omnitron.rpc.versions import best_version
from omnitron.wire.codec import encode, result_decoder
from omnitron.wire.envelope import Hello, call_head, decode_hello, encode_credit, encode_hello
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
    STREAM_WINDOW_ITEMS,
    Body,
    Frame,
    FrameDecoder,
    check_size,
    frame,
)

READ_BYTES: Final = 256 * 2**10
TIMEOUT_S: Final = 10.0


class BlockingClient:
    """timeout_s: seconds for connecting, for each call, and for the wait for each item of a stream; None is forever."""

    def __init__(self, path: str, timeout_s: float | None = TIMEOUT_S, *, who: str = "cli") -> None:
        self.path, self.timeout_s, self.who = path, timeout_s, who
        self._sock: socket.socket | None = None
        self._decoder = FrameDecoder()
        self._frames: deque[Frame] = deque()
        self._hello = Hello()
        self._last_id = 0
        self._leaving = False

    def __enter__(self) -> "BlockingClient":
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> Hello:
        """Connect if it is not; what the server offers. Raises Unavailable."""
        if self._sock is not None:
            return self._hello
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._decoder, self._frames, self._leaving = FrameDecoder(), deque(), False
        try:
            sock.settimeout(self.timeout_s)
            sock.connect(self.path)
            self._sock = sock
            sock.sendall(frame(HELLO, 0, encode_hello(Hello(who=self.who))))
            kind, _, body = self._read(self._deadline(self.timeout_s))
            if kind != HELLO:
                raise InternalError(f"The server at {self.path} did not say hello first.")
            self._hello = decode_hello(body)
        except (OSError, WorkerDied, DeadlineExceeded) as error:
            sock.close()
            self._sock = None
            raise Unavailable(f"Nobody answers at {self.path}: {error}.", details={"path": self.path}) from error
        return self._hello

    def close(self) -> None:
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def call(self, service: str, method: str, *args: Any, result: Any = Any, timeout_s: float | None = None) -> Any:
        """Call `service` ("name" or "name@version") and decode the answer as `result`. Raises the call's error."""
        timeout_s = self.timeout_s if timeout_s is None else timeout_s
        deadline = self._deadline(timeout_s)
        call_id = self._send(service, method, args, timeout_s)
        try:
            kind, body = self._next(call_id, deadline)
        except DeadlineExceeded as error:
            raise self._late(service, method, timeout_s) from error
        if kind == ERROR:
            raise decode_error(body)[0]
        return result_decoder(result, f"{service}.{method}")(body)

    def stream(
        self, service: str, method: str, *args: Any, result: Any = Any, timeout_s: float | None = None
    ) -> Iterator[Any]:
        """Items of a stream, each decoded as `result`. timeout_s: seconds between items; None is forever."""
        decode = result_decoder(result, f"{service}.{method}")
        call_id = self._send(service, method, args, None)
        taken, ended = 0, False
        try:
            while True:
                kind, body = self._next(call_id, self._deadline(timeout_s))
                if kind != ITEM:
                    ended = True
                    if kind == ERROR:
                        raise decode_error(body)[0]
                    return
                taken += 1
                if taken >= STREAM_WINDOW_ITEMS // 2:
                    self._write(frame(CREDIT, call_id, encode_credit(taken)))
                    taken = 0
                yield decode(body)
        finally:
            if not ended and self._sock is not None:
                self._write(frame(CANCEL, call_id))

    def _send(self, service: str, method: str, args: tuple[Any, ...], timeout_s: float | None) -> int:
        self._renew()
        self.connect()
        body = encode(args)
        check_size(len(body), MAX_FRAME_BYTES - 64, f"The call of {service}.{method}")
        self._last_id = call_id = (self._last_id + 1) & 0xFFFFFFFF
        deadline_ms = 0 if timeout_s is None else max(1, int(timeout_s * 1000))
        self._write(call_head(call_id, self._method_id(service, method), deadline_ms, b"", len(body)) + body)
        return call_id

    def _method_id(self, service: str, method: str) -> int:
        name, _, wanted = service.partition("@")
        offers = {offer.version: offer for offer in self._hello.offers if offer.service == name}
        version = best_version(wanted, offers)
        if version is None:
            offered = ", ".join(f"{offer.service}@{offer.version}" for offer in self._hello.offers) or "nothing"
            raise ServiceNotFound(f"The server at {self.path} does not offer {service}, but {offered}.")
        offer = offers[version]
        if method not in offer.methods:
            hint = suggest(method, offer.methods)
            raise MethodNotFound(
                f"{service} has no method {method!r}.{hint}", remedy="Only @rpc methods can be called."
            )
        return offer.first_id + offer.methods.index(method)

    def _renew(self) -> None:
        """Drop a connection that is over, or that the server wants to be."""
        while self._sock is not None and (self._frames or select.select([self._sock], [], [], 0)[0]):
            try:
                self._other(*self._read(None))
            except WorkerDied:
                return
        if self._leaving:
            self.close()

    def _next(self, call_id: int, deadline: float | None) -> tuple[int, Body]:
        """The next frame of a call; others are late answers to calls that were given up."""
        while True:
            kind, frame_id, body = self._read(deadline)
            if frame_id == call_id and kind in (REPLY, ERROR, ITEM, END):
                return kind, body
            self._other(kind, frame_id, body)

    def _other(self, kind: int, frame_id: int, body: Body) -> None:
        if kind == HELLO:
            self._hello = decode_hello(body)
        elif kind == PING:
            self._write(frame(PONG, frame_id))
        elif kind == GOAWAY:
            self._leaving = True

    def _read(self, deadline: float | None) -> Frame:
        assert self._sock is not None
        while not self._frames:
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise DeadlineExceeded(f"{self.path} did not answer in time.")
            self._sock.settimeout(left)
            try:
                data = self._sock.recv(READ_BYTES)
            except TimeoutError:
                continue
            except OSError as error:
                raise self._lost(str(error)) from error
            if not data:
                raise self._lost("it closed the connection")
            self._frames.extend(self._decoder.feed(data))
        return self._frames.popleft()

    def _write(self, data: bytes) -> None:
        assert self._sock is not None
        try:
            self._sock.settimeout(self.timeout_s)
            self._sock.sendall(data)
        except OSError as error:
            raise self._lost(str(error)) from error

    def _lost(self, reason: str) -> WorkerDied:
        who = self._hello.who or self.path
        self.close()
        return WorkerDied(f"{who} went away: {reason}.", remedy="The call may have run.", details={"replica": who})

    def _late(self, service: str, method: str, timeout_s: float | None) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"{service}.{method} of {self._hello.who or self.path} did not answer within {timeout_s} s.",
            remedy="Give it more time, or find out what it waits for.",
        )

    @staticmethod
    def _deadline(timeout_s: float | None) -> float | None:
        return None if timeout_s is None else time.monotonic() + timeout_s
