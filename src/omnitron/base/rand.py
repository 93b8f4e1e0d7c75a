"""The door to chance: jitter, two choices, identifiers. Tests hand in a seeded one."""

import os
import random
from typing import Protocol


class Rand(Protocol):
    def random(self) -> float:
        """Uniform in [0, 1)."""
        ...

    def below(self, n: int) -> int:
        """Uniform integer in [0, n)."""
        ...

    def token(self, n_bytes: int = 16) -> str:
        """An identifier of 2 * n_bytes hexadecimal digits."""
        ...


class SystemRand:
    """Chance from the machine; safe to use after a fork, since it is made in the child."""

    def __init__(self) -> None:
        self._random = random.Random(os.urandom(16))

    def random(self) -> float:
        return self._random.random()

    def below(self, n: int) -> int:
        return int(self._random.random() * n)

    def token(self, n_bytes: int = 16) -> str:
        return os.urandom(n_bytes).hex()


class SeededRand:
    """The same sequence for the same seed: for tests and simulations."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def random(self) -> float:
        return self._random.random()

    def below(self, n: int) -> int:
        return self._random.randrange(n)

    def token(self, n_bytes: int = 16) -> str:
        return self._random.randbytes(n_bytes).hex()
