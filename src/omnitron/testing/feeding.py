"""Gives items to stream consumers as Redis would, without Redis: encoded, in batches, with ids that grow."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from omnitron.base.clock import Clock
from omnitron.kits.streams.batch import Batch
from omnitron.kits.streams.mark import ConsumeMark
from omnitron.kits.streams.runner import Handler
from omnitron.kits.streams.stream import Stream

T = TypeVar("T")


class DeadLetter(msgspec.Struct, Generic[T], frozen=True):
    """An item a consumer gave up with `Batch.dead_letter`."""

    item: T
    reason: str


class _Settler:
    """Notes what a consumer gives up; acknowledging is for the redelivery that a test does itself."""

    def __init__(self, items: dict[bytes, Any], dead: list[DeadLetter[Any]]) -> None:
        self._items, self._dead = items, dead

    def settle(self, ids: list[bytes]) -> None:
        """Done."""

    async def bury(self, ids: list[bytes], reason: str) -> None:
        self._dead += [DeadLetter(self._items[each], reason) for each in ids]


class Feeder:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = 0

    async def feed(
        self, stream: Stream[T], items: Sequence[T], consumers: Sequence[tuple[ConsumeMark, Handler]]
    ) -> list[DeadLetter[T]]:
        """To each consumer all items, decoded anew from what a producer would have sent."""
        data = [msgspec.msgpack.encode(item) for item in items]
        ids = [self._id() for _ in items]
        dead: list[DeadLetter[T]] = []
        for mark, handler in consumers:
            decoded = [msgspec.msgpack.decode(each, type=stream.type) for each in data]
            settler = _Settler(dict(zip(ids, decoded, strict=True)), dead)
            for start in range(0, len(decoded), mark.batch):
                await handler(Batch(decoded[start : start + mark.batch], ids[start : start + mark.batch], settler))
        return dead

    def _id(self) -> bytes:
        self._count += 1
        return f"{int(self._clock.now() * 1000)}-{self._count}".encode()
