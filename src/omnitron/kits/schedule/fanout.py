"""`fan_out`: the same for many items, so many at a time, each with its own result or error."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from omnitron.base.errors import Cancelled, DeadlineExceeded, DefinitionError, OmnitronError
from omnitron.base.tasks import TaskSet
from omnitron.base.units import Duration, seconds

T = TypeVar("T")
R = TypeVar("R")
DEFAULT_LIMIT: Final = 16
SHOWN: Final = 5  # errors told in a message


class FanOutFailed(OmnitronError):
    """Some items failed. details: failed, total, errors (the first few, by item)."""

    code = "fan_out_failed"


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T, R]):
    """error: None if it went well; then `value` is what was returned."""

    item: T
    value: R | None
    error: Exception | None


class Results(Generic[T, R]):
    """Outcomes in the order of the items."""

    def __init__(self, outcomes: list[Outcome[T, R]]) -> None:
        self.outcomes = outcomes

    def __iter__(self) -> Iterator[Outcome[T, R]]:
        return iter(self.outcomes)

    def __len__(self) -> int:
        return len(self.outcomes)

    def __repr__(self) -> str:
        return f"<Results {len(self.ok)} ok, {len(self.failed)} failed>"

    @property
    def ok(self) -> list[Outcome[T, R]]:
        return [o for o in self.outcomes if o.error is None]

    @property
    def failed(self) -> list[Outcome[T, R]]:
        return [o for o in self.outcomes if o.error is not None]

    def raise_if_failed(self) -> None:
        """Raise FanOutFailed, caused by the first error, if any item failed."""
        if failed := self.failed:
            errors = {str(o.item): f"{type(o.error).__name__}: {o.error}" for o in failed[:SHOWN]}
            told = "; ".join(f"{item}: {error}" for item, error in errors.items())
            raise FanOutFailed(
                f"{len(failed)} of {len(self.outcomes)} items failed, such as {told}",
                details={"failed": len(failed), "total": len(self.outcomes), "errors": errors},
            ) from failed[0].error


async def fan_out(
    items: Iterable[T],
    fn: Callable[[T], Awaitable[R]],
    *,
    limit: int = DEFAULT_LIMIT,
    deadline: Duration | None = None,
) -> Results[T, R]:
    """Await `fn(item)` for each, at most `limit` at once. One failure does not stop the others.

    deadline: for all together; what has not ended by then is cancelled, or not begun, and has DeadlineExceeded.
    """
    if limit < 1:
        raise DefinitionError(f"fan_out(limit={limit}) would do nothing.", remedy="Use 1 or more.")
    timeout = None if deadline is None else seconds(deadline, what="deadline")
    everything = list(items)
    done: dict[int, Outcome[T, R]] = {}
    todo = iter(enumerate(everything))

    async def work() -> None:
        for index, item in todo:
            done[index] = await _outcome(item, fn)

    workers = TaskSet("fan_out")
    try:
        started = [workers.start(work(), str(n)) for n in range(min(limit, len(everything)))]
        if started:
            await asyncio.wait(started, timeout=timeout)
    finally:
        await workers.close()
    return Results([done.get(i) or _too_late(item, timeout) for i, item in enumerate(everything)])


async def _outcome(item: T, fn: Callable[[T], Awaitable[R]]) -> Outcome[T, R]:
    try:
        return Outcome(item, await fn(item), None)
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return Outcome(item, None, Cancelled("What the item waited for was cancelled."))
    except Exception as error:
        return Outcome(item, None, error)


def _too_late(item: T, timeout: float | None) -> Outcome[T, R]:
    return Outcome(item, None, DeadlineExceeded(f"Not finished within the fan-out's deadline of {timeout} s."))
