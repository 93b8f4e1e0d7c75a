"""The choice of a replica, also in a simulation of the table it was decided by."""

import heapq
import random
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omnitron.base.rand import SeededRand
from omnitron.rpc.balance import LEAST_IN_FLIGHT_MAX, by_key, choose, default_policy, least_in_flight, two_choices

LOADS = st.lists(st.integers(0, 5), min_size=2, max_size=70)


@given(LOADS, st.integers())
def test_least_in_flight_takes_one_with_the_least(loads, seed):
    assert loads[least_in_flight(len(loads), loads.__getitem__, SeededRand(seed))] == min(loads)


@given(LOADS, st.integers())
def test_two_choices_never_takes_the_only_worst_one(loads, seed):
    chosen = two_choices(len(loads), loads.__getitem__, SeededRand(seed))
    assert loads[chosen] < max(loads) or loads.count(max(loads)) > 1


@given(st.integers(2, 20), st.integers())
def test_ties_are_spread(count, seed):
    rand = SeededRand(seed)
    chosen = {least_in_flight(count, lambda _: 0, rand) for _ in range(count * 40)}
    assert chosen == set(range(count))


def test_the_default_depends_on_the_size_of_the_pool():
    assert default_policy(LEAST_IN_FLIGHT_MAX) == "least_in_flight"
    assert default_policy(LEAST_IN_FLIGHT_MAX + 1) == "two_choices"
    assert choose(None, 1, lambda _: 9, SeededRand(0)) == 0


@given(st.text(), st.lists(st.text(), min_size=2, max_size=12, unique=True), st.data())
def test_a_key_moves_only_when_its_owner_goes(key, names, data):
    gone = data.draw(st.sampled_from(names))
    owner = names[by_key(key, names)[0]]
    rest = [name for name in names if name != gone]
    new_owner = rest[by_key(key, rest)[0]]
    assert new_owner == owner if owner != gone else new_owner == names[by_key(key, names)[1]]


def test_keys_are_spread_over_all_owners():
    names = [f"market/pool/{slot}" for slot in range(4)]
    owned = [0] * 4
    for number in range(4000):
        owned[by_key(str(number), names)[0]] += 1
    assert min(owned) > 850 and max(owned) < 1150


def simulated_p99(policy, load, calls=12_000, workers=16, seed=1):
    """99th percentile of latency, ms, of one caller with 95 % 1 ms and 5 % 100 ms calls (mean 5.95)."""
    rng, rand = random.Random(seed), SeededRand(seed)
    rate = load * workers / 5.95
    depth, queues, turn = [0] * workers, [deque() for _ in range(workers)], 0
    events, latencies, number = [(0.0, 0, -1, 0.0, 0.0)], [], 0
    while len(latencies) < calls:
        now, _, worker, arrived, took = heapq.heappop(events)
        number += 1
        if worker < 0:
            turn += 1
            chosen = turn % workers if policy == "round_robin" else choose(policy, workers, depth.__getitem__, rand)
            took = 100.0 if rng.random() < 0.05 else 1.0
            depth[chosen] += 1
            if depth[chosen] == 1:
                heapq.heappush(events, (now + took, number, chosen, now, took))
            else:
                queues[chosen].append((now, took))
            heapq.heappush(events, (now + rng.expovariate(rate), number, -1, 0.0, 0.0))
            continue
        depth[worker] -= 1
        latencies.append(now - arrived)
        if queues[worker]:
            arrived, took = queues[worker].popleft()
            heapq.heappush(events, (now + took, number, worker, arrived, took))
    return sorted(latencies)[len(latencies) * 99 // 100]


@pytest.mark.parametrize("load", [0.7, 0.9])
def test_least_in_flight_beats_two_choices_beats_round_robin(load):
    least = simulated_p99("least_in_flight", load)
    two = simulated_p99("two_choices", load)
    robin = simulated_p99("round_robin", load)
    assert least * 1.3 < two
    assert two * 1.3 < robin
