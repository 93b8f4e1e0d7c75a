"""`@consume`: this method takes batches of a stream. Only recorded here; `ConsumerRunner` runs it."""

import inspect
from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.base.units import Duration, seconds
from omnitron.kits.streams.consumer import MAX_DELIVERIES
from omnitron.kits.streams.stream import Stream

F = TypeVar("F", bound=Callable[..., Any])
CONSUMERS: Final = "__omnitron_consumers__"


class ConsumeMark(msgspec.Struct, frozen=True):
    """batch: items at most. max_wait_s: how long to wait for a batch to fill once there is one item."""

    stream: Stream[Any]
    group: str
    batch: int
    max_wait_s: float
    max_deliveries: int


def consume(
    stream: Stream[Any],
    *,
    group: str,
    batch: int = 1000,
    max_wait: Duration = 0.0,
    max_deliveries: int = MAX_DELIVERIES,
) -> Callable[[F], F]:
    """Give this `async def` method the batches of `stream` as a member of `group`; acknowledged when it returns.

    When it raises, the batch is tried again: for ever while the error is a ConnectionError or a timeout (the
    database is away), otherwise `max_deliveries` times, then in halves, until the culprit is alone: it goes to the dead
    letters.
    max_wait: 0 takes what is there; more makes fewer and fuller batches at the price of latency.
    """
    if batch < 1 or max_deliveries < 1:
        raise DefinitionError(f"@consume of {stream.name!r} with batch={batch}, max_deliveries={max_deliveries}.",
                              remedy="Both are at least 1.")  # fmt: skip
    mark = ConsumeMark(stream, group, batch, seconds(max_wait, what="max_wait"), max_deliveries)

    def decorate(function: F) -> F:
        if not inspect.iscoroutinefunction(function):
            raise DefinitionError(
                f"@consume is on {getattr(function, '__qualname__', function)!r}, which is not async.",
                remedy="Write `async def`; use asyncio.to_thread inside for work that blocks.",
            )
        setattr(function, CONSUMERS, (mark, *consume_marks(function)))
        return function

    return decorate


def consume_marks(function: object) -> tuple[ConsumeMark, ...]:
    """The streams a method consumes, as written from top to bottom."""
    marks = getattr(function, CONSUMERS, ())
    return marks if isinstance(marks, tuple) else ()
