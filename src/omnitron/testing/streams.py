"""The streams kit without Redis: what is sent stays here for the test. What is consumed comes by `RunningApp.feed`."""

from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import msgspec

from omnitron.kits.streams.stream import Stream

T = TypeVar("T")


class FakeStreams:
    """To be injected as `Streams`, into code that only produces: `overrides={Streams: FakeStreams()}`."""

    def __init__(self) -> None:
        self._sent: dict[str, list[Any]] = {}

    def producer(self, stream: Stream[T], *, buffer: int = 0) -> "FakeProducer[T]":
        return FakeProducer(stream, self._sent.setdefault(stream.name, []))

    def sent(self, stream: Stream[T]) -> list[T]:
        """All items sent so far, in order, as a consumer would get them."""
        return list(self._sent.get(stream.name, ()))


class FakeProducer(Generic[T]):
    """As `StreamProducer`; what it is given has arrived at once. Raises msgspec.ValidationError for a wrong type."""

    def __init__(self, stream: Stream[T], sent: list[T]) -> None:
        self.stream, self.buffered, self._sent = stream, 0, sent

    async def send(self, item: T) -> None:
        await self.put_many((item,))

    async def send_many(self, items: Iterable[T]) -> None:
        await self.put_many(items)

    async def put(self, item: T) -> None:
        await self.put_many((item,))

    async def put_many(self, items: Iterable[T]) -> None:
        self._sent += [msgspec.msgpack.decode(msgspec.msgpack.encode(item), type=self.stream.type) for item in items]

    async def flush(self) -> None:
        """Nothing is under way."""
