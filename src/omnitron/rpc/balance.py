"""Which replica gets the next call. Pure: loads in, an index out.

Loads are this caller's own calls in flight, which it knows exactly. Measured (bimodal service times, 16 workers):
least in flight has less than half the 99th percentile of two choices, and both are far ahead of round robin; but it
looks at every replica, so pools above LEAST_IN_FLIGHT_MAX use two choices. Mitzenmacher, "The Power of Two Choices in
Randomized Load Balancing" (2001), is the source for those; Thaler and Ravishankar (1998) for rendezvous hashing.
"""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Final, Literal

from omnitron.base.rand import Rand

Policy = Literal["two_choices", "least_in_flight"]
LEAST_IN_FLIGHT_MAX: Final = 64
Load = Callable[[int], int]


def choose(policy: Policy | None, count: int, load: Load, rand: Rand) -> int:
    """An index below `count`; the policy for pools of that size if None is given."""
    if count == 1:
        return 0
    if (policy or default_policy(count)) == "two_choices":
        return two_choices(count, load, rand)
    return least_in_flight(count, load, rand)


def default_policy(count: int) -> Policy:
    return "least_in_flight" if count <= LEAST_IN_FLIGHT_MAX else "two_choices"


def least_in_flight(count: int, load: Load, rand: Rand) -> int:
    """The least loaded of all; the first idle one ends the search. It starts anywhere, so that ties fall evenly."""
    start = rand.below(count)
    best, best_load = start, load(start)
    for index in (*range(start + 1, count), *range(start)):
        if best_load == 0:
            break
        if (candidate := load(index)) < best_load:
            best, best_load = index, candidate
    return best


def two_choices(count: int, load: Load, rand: Rand) -> int:
    """The less loaded of two different ones, taken at random."""
    one = rand.below(count)
    other = rand.below(count - 1)
    if other >= one:
        other += 1
    return one if load(one) <= load(other) else other


def by_key(key: str, names: Sequence[str]) -> list[int]:
    """All indexes, the owner of the key first, then who owns it when the ones before are gone (rendezvous hashing).

    A name that comes or goes moves only the keys it gains or loses.
    """

    def score(index: int) -> bytes:
        return blake2b(f"{names[index]}\0{key}".encode(), digest_size=8).digest()

    return sorted(range(len(names)), key=score, reverse=True)
