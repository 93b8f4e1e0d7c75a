"""`ConsumerRunner`: runs the `@consume` methods of a replica's services."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Final, Self

from omnitron.base.clock import Clock
from omnitron.base.errors import NotExecuted, OmnitronError
from omnitron.base.rand import Rand
from omnitron.base.tasks import TaskSet
from omnitron.control.provide import ProvideContext
from omnitron.kits.streams.batch import Batch
from omnitron.kits.streams.connection import backoff
from omnitron.kits.streams.consumer import StreamConsumer
from omnitron.kits.streams.kit import Streams
from omnitron.kits.streams.mark import ConsumeMark, consume_marks

log = logging.getLogger("omnitron.streams")
Handler = Callable[[Batch[Any]], Awaitable[None]]
STOP_TIMEOUT_S: Final = 30.0  # the replica's own stop timeout is usually shorter, and then counts


class ConsumerRunner:
    """One consumer and one task for each mark. On stop each finishes the batch in hand; the rest is the others'."""

    def __init__(self, streams: Streams, clock: Clock, rand: Rand) -> None:
        self._streams, self._clock, self._rand = streams, clock, rand
        self._consumers: list[StreamConsumer[Any]] = []
        self._tasks = TaskSet("consumers")
        self._running: list[asyncio.Task[None]] = []

    @classmethod
    async def __omnitron_provide__(cls, ctx: ProvideContext) -> AsyncIterator[Self]:
        runner = cls(Streams(ctx), ctx.clock, ctx.rand)
        for mark, handler in consumers_of(ctx.services):
            runner.start(mark, handler)
        try:
            yield runner
        finally:
            await runner.stop()

    def start(self, mark: ConsumeMark, handler: Handler) -> None:
        consumer = self._streams.consumer(
            mark.stream,
            group=mark.group,
            batch=mark.batch,
            max_wait=mark.max_wait_s,
            max_deliveries=mark.max_deliveries,
        )
        self._consumers.append(consumer)
        name = f"{mark.stream.name}/{mark.group}"
        self._running.append(self._tasks.start(self._consume(consumer, handler, mark.max_deliveries), name))

    async def stop(self, timeout: float = STOP_TIMEOUT_S) -> None:
        """Let every handler finish its batch."""
        for consumer in self._consumers:
            consumer.stop()
        if self._running:
            await asyncio.wait(self._running, timeout=timeout)
        await self._tasks.close()
        await self._streams.close()

    async def _consume(self, consumer: StreamConsumer[Any], handler: Handler, attempts: int) -> None:
        failures = 0
        while not consumer.closed:
            try:
                async for batch in consumer:
                    await deliver(batch, handler, attempts, self._clock, self._rand)
                    failures = 0
            except (OmnitronError, ConnectionError) as error:  # of Redis; the handler's are dealt with in `deliver`
                failures += 1
                consumer.redeliver()
                log.error("%r: %s Trying again.", consumer, error)
                await self._clock.sleep(backoff(failures, self._rand))


async def deliver(batch: Batch[Any], handler: Handler, attempts: int, clock: Clock, rand: Rand) -> None:
    """Get the batch handled and acknowledged, whatever it takes: again, in halves, the culprit as dead letter."""
    attempt = 0
    error: Exception
    while True:
        try:
            await handler(batch)
            return await batch.ack()
        except Exception as raised:
            error = raised
        attempt += 1
        if not is_transient(error) and attempt >= attempts:
            break
        log.warning("%r failed (attempt %d): %s: %s", batch, attempt, type(error).__name__, error)
        await clock.sleep(backoff(attempt, rand))
    if len(batch) == 1:
        log.error("an item can not be processed", exc_info=error)
        return await batch.dead_letter(f"{type(error).__name__}: {error}")
    for half in batch.halves():
        await deliver(half, handler, 1, clock, rand)


def is_transient(error: Exception) -> bool:
    """Whether what failed is something the handler relies on, so that the items are not to blame."""
    return isinstance(error, OSError | TimeoutError | NotExecuted)


def consumers_of(services: Sequence[object]) -> list[tuple[ConsumeMark, Handler]]:
    """The `@consume` methods of the instances, bound."""
    return [
        (mark, getattr(service, name))
        for service in services
        for name in dir(type(service))
        for mark in consume_marks(getattr(type(service), name, None))
    ]
