"""How many calls run at once, how many wait for it, and what the others are told."""

from collections import deque
from typing import Generic, TypeVar

from omnitron.base.errors import Overloaded

T = TypeVar("T")
SERVICE_TIME_WEIGHT = 0.1
"""Of the newest call in the moving mean of service times."""
LEAST_RETRY_S, MOST_RETRY_S = 0.01, 30.0


class Gate(Generic[T]):
    """Lets `limit` in at once, lets `queue_limit` wait in order, refuses the rest."""

    __slots__ = ("limit", "mean_s", "queue_limit", "running", "waiting", "what")

    def __init__(self, what: str, limit: int, queue_limit: int) -> None:
        self.what, self.limit, self.queue_limit = what, limit, queue_limit
        self.running = 0
        self.waiting: deque[T] = deque()
        self.mean_s = 0.0

    def enter(self, item: T) -> bool:
        """True: it is in, and must `leave`. False: it waits, until some `leave` returns it. Raises Overloaded."""
        if self.running < self.limit:
            self.running += 1
            return True
        if len(self.waiting) >= self.queue_limit:
            raise self._overloaded()
        self.waiting.append(item)
        return False

    def leave(self, took_s: float | None = None) -> T | None:
        """One is out after `took_s` seconds inside; the one that is in in its place, if any waited."""
        if took_s is not None:
            self.mean_s += (took_s - self.mean_s) * SERVICE_TIME_WEIGHT
        if self.waiting:
            return self.waiting.popleft()
        self.running -= 1
        return None

    def give_up(self, item: T) -> bool:
        """Stop waiting; whether it did wait."""
        try:
            self.waiting.remove(item)
        except ValueError:
            return False
        return True

    def _overloaded(self) -> Overloaded:
        wait_s = self.mean_s * (len(self.waiting) + 1) / self.limit
        retry_after_s = round(min(max(wait_s, LEAST_RETRY_S), MOST_RETRY_S), 3)
        return Overloaded(
            f"{self.what} runs {self.running} calls, its limit, and {len(self.waiting)} wait, which is its limit too.",
            remedy=f"Try again in {retry_after_s} s, or give the process more instances.",
            details={"retry_after_s": retry_after_s, "running": self.running, "queued": len(self.waiting)},
        )
