"""A seeded loop of simulated events: the same seed gives the same history, and a day passes in a second.

Nothing here waits. `at` puts a callback on the time line, `run` takes them off it in order and moves the time on.
"""

import heapq
import itertools
from collections.abc import Callable

from omnitron.base.rand import SeededRand


class SimLoop:
    """time: seconds since the start. rand: the only source of chance of the simulation."""

    MAX_EVENTS = 1_000_000  # in one `run`; more means that something spins without time passing

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.time = 0.0
        self.rand = SeededRand(seed)
        self._order = itertools.count()
        self._line: list[tuple[float, int, Callable[[], None]]] = []

    def after(self, delay: float, action: Callable[[], None]) -> None:
        """Call `action` when `delay` seconds have passed; first come first at equal times."""
        heapq.heappush(self._line, (self.time + max(0.0, delay), next(self._order), action))

    def run(self, seconds: float) -> None:
        """Let `seconds` pass. Raises RuntimeError if it would take over MAX_EVENTS events."""
        end = self.time + seconds
        for _ in range(self.MAX_EVENTS):
            if not self._line or self._line[0][0] > end:
                self.time = end
                return
            self.time, _, action = heapq.heappop(self._line)
            action()
        raise RuntimeError(f"seed {self.seed}: {self.MAX_EVENTS} events and still at {self.time:.3f} s of {end:.3f} s")

    def chance(self, probability: float) -> bool:
        return self.rand.random() < probability

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.rand.random()
