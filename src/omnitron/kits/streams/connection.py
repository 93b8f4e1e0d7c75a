"""One connection to Redis that speaks RESP in whole pipelines.

redis-py builds and parses command by command, which costs ten times what the server needs; a stream's commands are
alike, so they are sent as prebuilt bytes and answered as a list. Whoever uses this reconnects; see `backoff`.
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, Self

from omnitron.base.errors import DefinitionError, OmnitronError, OperationError
from omnitron.base.extras import missing_extra
from omnitron.base.rand import Rand

try:
    import hiredis
    from redis.asyncio.connection import parse_url
except ModuleNotFoundError as error:
    raise missing_extra("omnitron.kits.streams", "redis", error) from None

CONNECT_TIMEOUT_S: Final = 5.0
REPLY_TIMEOUT_S: Final = 10.0
BACKOFF_MAX_S: Final = 2.0
_TRANSIENT: Final = (
    "LOADING",
    "MISCONF",
    "OOM",
    "READONLY",
    "BUSY",
    "TRYAGAIN",
    "MASTERDOWN",
    "NOREPLICAS",
    "UNBLOCKED",
)


def pack(*command: str | bytes | int) -> bytes:
    """The command in RESP."""
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]
    return packed


class StreamUnavailable(OmnitronError, ConnectionError):
    """Redis does not answer, or says it can not now. What was sent may have been executed."""

    code = "stream_unavailable"


class StreamError(OmnitronError):
    """Redis refuses a command of the stream kit for good: trying again would not help."""

    code = "stream_error"


@dataclass(slots=True)
class _Waiter:
    count: int
    future: asyncio.Future[list[Any]]
    replies: list[Any] = field(default_factory=list)


class Connection(asyncio.Protocol):
    """Requests are answered in the order they were sent; a request is any number of commands, sent in one write."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader(replyError=hiredis.ReplyError)
        self._waiters: deque[_Waiter] = deque()
        self._transport: asyncio.Transport | None = None
        self._lost: str | None = None

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect, authenticate and select. Raises StreamUnavailable, or OperationError for a wrong password."""
        try:
            where: dict[str, Any] = dict(parse_url(url))
        except ValueError as error:
            raise DefinitionError(f"REDIS_URL can not be used: {error}", remedy="Write redis://host:port/0.") from None
        loop = asyncio.get_running_loop()
        self = cls()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                if "path" in where:
                    await loop.create_unix_connection(lambda: self, where["path"])
                else:
                    host, port = where.get("host", "127.0.0.1"), where.get("port", 6379)
                    await loop.create_connection(lambda: self, host, port, ssl=True if url[:7] == "rediss:" else None)
        except (OSError, TimeoutError) as error:
            raise StreamUnavailable(f"Redis can not be reached: {error or type(error).__name__}.") from error
        try:
            await self._greet(where)
        except BaseException:
            self.close()
            raise
        return self

    async def _greet(self, where: dict[str, Any]) -> None:
        if password := where.get("password"):
            user = (where["username"],) if where.get("username") else ()
            try:
                await self.call("AUTH", *user, password)
            except StreamError as error:
                raise OperationError(
                    f"Redis refuses the password of REDIS_URL: {error.message}", remedy="Check REDIS_URL."
                ) from None
        if where.get("db"):
            await self.call("SELECT", str(where["db"]))

    @property
    def closed(self) -> bool:
        return self._lost is not None

    def close(self) -> None:
        """Drop the connection; requests under way fail."""
        self.connection_lost(None)

    async def call(self, *command: str | bytes | int, timeout: float = REPLY_TIMEOUT_S) -> Any:
        """One command and its reply. Raises StreamUnavailable or StreamError."""
        return check((await self.request(pack(*command), 1, timeout=timeout))[0])

    async def request(self, data: bytes, replies: int, *, timeout: float = REPLY_TIMEOUT_S) -> list[Any]:
        """Send packed commands, await as many replies. Error replies are items of the list (`check` raises them).

        timeout: seconds; beyond it the connection is closed, since its replies could no longer be told apart.
        """
        if self._lost is not None or self._transport is None:
            raise StreamUnavailable(f"The connection to Redis is gone: {self._lost}.")
        waiter = _Waiter(replies, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        self._transport.write(data)
        try:
            async with asyncio.timeout(timeout):
                return await waiter.future
        except TimeoutError:
            self.connection_lost(TimeoutError(f"no reply within {timeout:g} s"))
            raise StreamUnavailable(f"Redis did not answer within {timeout:g} s.") from None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._reader.feed(data)
            gets = self._reader.gets
            while self._waiters:
                waiter = self._waiters[0]
                replies, count = waiter.replies, waiter.count
                while len(replies) < count:
                    if (reply := gets()) is False:
                        return
                    replies.append(reply)
                self._waiters.popleft()
                if not waiter.future.done():
                    waiter.future.set_result(replies)
        except hiredis.ProtocolError as error:
            self.connection_lost(error)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._lost is not None:
            return
        self._lost = str(exc) if exc else "closed"
        if self._transport is not None:
            self._transport.abort()
        for waiter in self._waiters:
            if not waiter.future.done():
                waiter.future.set_exception(StreamUnavailable(f"The connection to Redis was lost: {self._lost}."))
                waiter.future.exception()  # whoever awaits it gets it; if nobody does any more, that is no fault
        self._waiters.clear()


def check(reply: Any) -> Any:
    """The reply itself; raises StreamUnavailable or StreamError if it is an error."""
    if isinstance(reply, hiredis.ReplyError):
        text = str(reply)
        if text.startswith(_TRANSIENT):
            raise StreamUnavailable(f"Redis can not do it now: {text}.")
        raise StreamError(f"Redis refused: {text}.", remedy="Check that nothing else uses the key of this stream.")
    return reply


def backoff(attempt: int, rand: Rand) -> float:
    """Seconds before attempt 1, 2, ... to connect again: 20 ms doubled up to 2 s, less a random half."""
    return min(BACKOFF_MAX_S, 0.02 * 2.0 ** min(attempt - 1, 10)) * (0.5 + rand.random() / 2)
