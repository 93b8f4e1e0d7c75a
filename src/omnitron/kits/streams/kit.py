"""`Streams`: injected into services; makes producers, consumers and replays."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final, Self, TypeVar

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.base.tasks import TaskSet
from omnitron.base.units import Duration, seconds
from omnitron.control.provide import ProvideContext
from omnitron.kits.streams.batch import Batch
from omnitron.kits.streams.connection import Connection
from omnitron.kits.streams.consumer import DEAD_AFTER_S, MAX_DELIVERIES, StreamConsumer
from omnitron.kits.streams.monitor import Monitor
from omnitron.kits.streams.outbox import DEFAULT_BUFFER
from omnitron.kits.streams.producer import StreamProducer
from omnitron.kits.streams.stream import Stream

T = TypeVar("T")
FLUSH_TIMEOUT_S: Final = 5.0


class Streams:
    """The Redis streams of this app, by REDIS_URL. Raises DefinitionError if that is not set."""

    def __init__(self, ctx: ProvideContext) -> None:
        self._url = ctx.environ.get("REDIS_URL", "")
        if not self._url:
            raise DefinitionError(
                "Streams needs Redis, but REDIS_URL is not set.", remedy="Add needs=Needs(redis=True) to the system."
            )
        self._ctx = ctx
        self._producers: dict[str, StreamProducer[Any]] = {}
        self._monitor = Monitor(self._connect, ctx.clock, ctx.metrics)
        self._tasks = TaskSet("streams")

    @classmethod
    async def __omnitron_provide__(cls, ctx: ProvideContext) -> AsyncIterator[Self]:
        streams = cls(ctx)
        try:
            yield streams
        finally:
            await streams.close()

    async def close(self) -> None:
        """Send what producers still hold (FLUSH_TIMEOUT_S at most); stop consumers."""
        for consumer in self._monitor.consumers:
            await consumer.close()
        await asyncio.gather(*(producer.close(FLUSH_TIMEOUT_S) for producer in self._producers.values()))
        await self._tasks.close()
        await asyncio.sleep(0)  # transports close their sockets in the next turn of the loop

    def producer(self, stream: Stream[T], *, buffer: int = DEFAULT_BUFFER) -> StreamProducer[T]:
        """The replica's producer of the stream. buffer: items held while Redis is slow or away; then sending waits."""
        found = self._producers.get(stream.name)
        if found is None:
            ctx = self._ctx
            found = StreamProducer(stream, self._connect, ctx.clock, ctx.rand, ctx.metrics, buffer=buffer)
            self._producers[stream.name] = found
        return found

    def consumer(
        self,
        stream: Stream[T],
        *,
        group: str,
        batch: int = 1000,
        max_wait: Duration = 0.0,
        start: str = "0",
        dead_after: Duration = DEAD_AFTER_S,
        max_deliveries: int = MAX_DELIVERIES,
    ) -> StreamConsumer[T]:
        """A member of the group, named after the replica; use one per stream and group. See `consume` for the options.

        start: where a group that does not exist yet begins: "0" with the oldest entry, "$" with those to come.
        """
        ctx = self._ctx
        consumer = StreamConsumer(
            stream,
            group,
            ctx.replica,
            self._connect,
            ctx.clock,
            ctx.rand,
            ctx.metrics,
            batch=batch,
            max_wait_s=seconds(max_wait, what="max_wait"),
            start=start,
            dead_after_s=seconds(dead_after, what="dead_after"),
            max_deliveries=max_deliveries,
        )
        self._monitor.consumers.append(consumer)
        if len(self._tasks) == 0:
            self._tasks.start(self._monitor.run(), "monitor")
        return consumer

    async def replay(
        self, stream: Stream[T], *, from_id: str = "-", to_id: str = "+", batch: int = 1000
    ) -> AsyncIterator[Batch[T]]:
        """Read the entries again, outside any group: nothing to acknowledge. Ids: "1764000000123-0".

        Raises msgspec.DecodeError at an entry that is not of the stream's type.
        """
        decode = msgspec.msgpack.Decoder(stream.type).decode
        connection = await self._connect()
        try:
            while entries := await connection.call("XRANGE", stream.name, from_id, to_id, "COUNT", batch):
                ids = [entry_id for entry_id, _ in entries]
                yield Batch([decode(fields[1]) for _, fields in entries], ids, _Ignored())
                from_id = f"({ids[-1].decode()}"
        finally:
            connection.close()

    async def reset(self, stream: Stream[Any], *, group: str, to_id: str) -> None:
        """Make the group begin again after `to_id` ("0": with the oldest kept), to process all that once more."""
        connection = await self._connect()
        try:
            await connection.call("XGROUP", "SETID", stream.name, group, to_id)
        finally:
            connection.close()

    async def _connect(self) -> Connection:
        return await Connection.open(self._url)


class _Ignored:
    """A replayed batch has nobody to tell."""

    def settle(self, ids: list[bytes]) -> None:
        """Nothing was pending."""

    async def bury(self, ids: list[bytes], reason: str) -> None:
        """Nothing was pending."""
