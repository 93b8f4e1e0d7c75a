"""`POST /rpc/{service}/{method}`: a service's method over HTTP.

The body is a JSON array (arguments in order) or object (by name), or empty; each is decoded into its annotated type.
The answer is the result as JSON, Decimals as strings. A stream is newline-delimited JSON, or server-sent events for who
asks for them; one that fails midway ends with a problem as its last item. Only methods marked
`@rpc(anonymous=True)` can be called, since nobody is authenticated here yet. The gates are the RPC server's own: a
request over HTTP takes the place of a call.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, MutableMapping
from concurrent.futures import Executor
from contextvars import copy_context
from typing import Any, Final

import msgspec

from omnitron.base.errors import InvalidArguments, InvalidResult, OmnitronError
from omnitron.base.names import suggest
from omnitron.child.http.exchange import Exchange
from omnitron.child.http.problems import CONTENT_TYPE, Headers, Problem, problem_of
from omnitron.rpc.contract import MethodContract
from omnitron.rpc.moved import Moved
from omnitron.rpc.served import Served
from omnitron.wire.codec import decode_hook, encode_hook

log = logging.getLogger("omnitron.http")
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]
ITEMS_PER_TURN: Final = 64
"""Of a stream, in a turn of the event loop."""
_ARRAY: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode
_OBJECT: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
encode_json: Final = msgspec.json.Encoder(enc_hook=encode_hook).encode
_OK: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
_NDJSON: Final = (b"content-type", b"application/x-ndjson")
_EVENTS: Final = (b"content-type", b"text/event-stream")
_NO_CACHE: Final = (b"cache-control", b"no-store")


async def read_body(receive: Receive) -> bytes:
    """All of it; its size is bounded by the protocol."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts = [body]
    while message.get("more_body"):
        message = await receive()
        parts.append(message.get("body", b""))
    return b"".join(parts)


async def paced(items: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    """The same, giving way to others now and then: while its client reads fast, or is gone, nothing else would."""
    count = 0
    try:
        async for item in items:
            yield item
            count += 1
            if count % ITEMS_PER_TURN == 0:
                await asyncio.sleep(0)
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


class Turn:
    """A request that may have to wait at a gate."""

    __slots__ = ("_let_in",)

    def __init__(self) -> None:
        self._let_in: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        self._let_in = asyncio.get_running_loop().create_future()
        await self._let_in

    def next_gate(self) -> None:
        """Called by whoever left, in our favour."""
        if self._let_in is not None and not self._let_in.done():
            self._let_in.set_result(None)


class Endpoint:
    """One method. threads: where a plain function runs."""

    def __init__(self, served: Served, threads: Callable[[], Executor], *, dev: bool) -> None:
        self.contract: MethodContract = served.contract
        self._served, self._threads, self._dev = served, threads, dev
        self._names = frozenset(param.name for param in served.contract.params)
        self._decoders = [
            msgspec.json.Decoder(param.annotation, dec_hook=decode_hook).decode for param in served.contract.params
        ]

    async def answer(self, exchange: Exchange, receive: Receive, send: Send, headers: Headers, accept: bytes) -> None:
        """Raises what the method raises, before anything is sent."""
        body = exchange.body()
        args = self.decode(await read_body(receive) if body is None else body)
        if self.contract.stream:
            await self._within_gates(lambda: self._stream(args, exchange, send, headers, accept))
            return
        result = await self._within_gates(lambda: self._call(args))
        try:
            body = encode_json(result)
        except (TypeError, ValueError, NotImplementedError, msgspec.MsgspecError) as error:
            raise InvalidResult(f"{self.contract.title} returned something JSON can not hold: {error}.") from error
        lines = [_OK % len(body), *(b"%b: %b\r\n" % header for header in headers)]
        await exchange.respond(b"".join(lines), body)

    def decode(self, body: bytes) -> tuple[Any, ...]:
        """The arguments in order, without trailing defaults. Raises InvalidArguments naming the one that is wrong."""
        title = self.contract.title
        try:
            raw = _OBJECT(body) if body.lstrip()[:1] == b"{" else _ARRAY(body) if body else []
        except msgspec.MsgspecError as error:
            raise InvalidArguments(
                f"The body of the call of {title} is not a JSON array or object: {error}.",
                remedy='Send the arguments as [...] in order, or as {"name": value}.',
            ) from None
        if isinstance(raw, dict):
            return self._by_name(raw)
        if len(raw) > len(self._decoders):
            raise InvalidArguments(f"{title} takes at most {len(self._decoders)} arguments, got {len(raw)}.")
        args = tuple([self._value(index, item) for index, item in enumerate(raw)])
        if len(args) < self.contract.required:
            raise self._missing(self.contract.params[len(args)].name)
        return args

    def _by_name(self, raw: dict[str, msgspec.Raw]) -> tuple[Any, ...]:
        params = self.contract.params
        if unknown := raw.keys() - self._names:
            name = min(unknown)
            raise InvalidArguments(
                f"{self.contract.title} has no parameter {name!r}.{suggest(name, self._names)}",
                details={"method": self.contract.title, "parameter": name},
            )
        args = []
        for index, param in enumerate(params):
            if (item := raw.get(param.name)) is not None:
                args.append(self._value(index, item))
            elif param.required:
                raise self._missing(param.name)
            else:
                args.append(param.default)
        return tuple(args)

    def _missing(self, name: str) -> InvalidArguments:
        title = self.contract.title
        return InvalidArguments(
            f"{title} was called without its argument {name!r}.", details={"method": title, "parameter": name}
        )

    def _value(self, index: int, raw: msgspec.Raw) -> Any:
        try:
            return self._decoders[index](raw)
        except (ValueError, msgspec.MsgspecError) as error:
            name = self.contract.params[index].name
            raise InvalidArguments(
                f"{self.contract.title} was called with an argument that does not fit: {name}: {error}.",
                details={"method": self.contract.title, "parameter": name},
            ) from None

    async def _within_gates(self, run: Callable[[], Any]) -> Any:
        turn, gates, passed = Turn(), self._served.gates, 0
        clock = asyncio.get_running_loop().time
        stats, begun, failed = self._served.stats, 0.0, True
        try:
            for gate in gates:
                if not gate.enter(turn):
                    try:
                        await turn.wait()
                    except asyncio.CancelledError:
                        passed += not gate.give_up(turn)  # it may have let us in just before
                        raise
                passed += 1
            begun = clock()
            result = await run()
            failed = False
            return result
        finally:
            took_s = clock() - begun if begun else None
            if took_s is not None:
                stats.calls += 1
                stats.failed += failed
                stats.busy_s += took_s
            for gate in reversed(gates[:passed]):
                if (successor := gate.leave(took_s)) is not None:
                    successor.next_gate()

    async def _call(self, args: tuple[Any, ...]) -> Any:
        if not self._served.threaded:
            return await self._served.call(args)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads(), copy_context().run, self._served.call, args)

    async def _stream(
        self, args: tuple[Any, ...], exchange: Exchange, send: Send, headers: Headers, accept: bytes
    ) -> None:
        events = b"text/event-stream" in accept
        kind, before, after = (_EVENTS, b"data: ", b"\n\n") if events else (_NDJSON, b"", b"\n")
        items = paced(self._served.call(args))
        exchange.streaming = True
        await send({"type": "http.response.start", "status": 200, "headers": [kind, _NO_CACHE, *headers]})
        try:
            async for item in items:
                await send(
                    {"type": "http.response.body", "body": before + encode_json(item) + after, "more_body": True}
                )
        except (Exception, asyncio.CancelledError) as error:
            if not isinstance(error, OmnitronError | asyncio.CancelledError):
                log.error("%s failed midway: %s", self.contract.title, error, exc_info=error)
            if isinstance(error, asyncio.CancelledError):
                error = Moved("The replica that feeds the stream stops.", remedy="Begin it again.")
            problem, more = problem_of(error, dev=self._dev)
            last = b"event: error\ndata: " if events else b""
            body = last + problem.body(**more) + after
            await send({"type": "http.response.body", "body": body, "more_body": True})
        finally:
            await items.aclose()
        await send({"type": "http.response.body", "body": b""})


def unauthenticated(method: MethodContract) -> Problem:
    return Problem(
        401,
        "unauthenticated",
        f"{method.title} can not be called without a principal, and HTTP requests have none yet.",
        "Mark it @rpc(anonymous=True) if everybody may call it.",
        [(b"www-authenticate", b"Bearer")],
    )


async def send_problem(send: Send, problem: Problem, more: dict[str, Any], headers: Headers) -> None:
    body = problem.body(**more)
    own = [CONTENT_TYPE, (b"content-length", b"%d" % len(body)), *problem.headers]
    await send({"type": "http.response.start", "status": problem.status, "headers": [*own, *headers]})
    await send({"type": "http.response.body", "body": body})
