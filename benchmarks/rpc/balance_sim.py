"""Simulates the choice of a replica with our own policies, beside the two simplest ones.

    python benchmarks/rpc/balance_sim.py [--calls 60000] [--json FILE]

Open loop: Poisson arrivals, spread evenly over callers, of whom each knows only its own calls in flight. Replicas run
one call at a time, in order. Service times are bimodal: 95 % take 1 ms, 5 % take 100 ms.
"""

import argparse
import heapq
import json
import random
from collections import deque
from pathlib import Path

from omnitron.base.rand import SeededRand
from omnitron.rpc.balance import choose

REPLICAS = 16
SLOW_SHARE, FAST_MS, SLOW_MS = 0.05, 1.0, 100.0
MEAN_MS = (1 - SLOW_SHARE) * FAST_MS + SLOW_SHARE * SLOW_MS
POLICIES = ("random", "round_robin", "two_choices", "least_in_flight")
WARM_UP = 0.1


def policy_of(name, rng, loads):
    """A function giving the next replica, for a caller with these loads."""
    turn = rng.randrange(REPLICAS)

    def round_robin():
        nonlocal turn
        turn = (turn + 1) % REPLICAS
        return turn

    if name == "random":
        return lambda: rng.randrange(REPLICAS)
    if name == "round_robin":
        return round_robin
    rand = SeededRand(rng.randrange(2**32))
    return lambda: choose(name, REPLICAS, loads.__getitem__, rand)


def simulate(name, callers, load, calls, seed):
    """Times from call to answer in ms, sorted, without those of the warm-up."""
    rng = random.Random(seed)
    loads = [[0] * REPLICAS for _ in range(callers)]
    pick = [policy_of(name, rng, own) for own in loads]
    queues = [deque() for _ in range(REPLICAS)]
    rate = load * REPLICAS / MEAN_MS
    busy, ends, times, now = [False] * REPLICAS, [], [], 0.0

    def begin(at, replica):
        busy[replica] = bool(queues[replica])
        if busy[replica]:
            number, caller, came, takes = queues[replica].popleft()
            heapq.heappush(ends, (at + takes, number, caller, came, replica))

    def end_until(limit):
        while ends and ends[0][0] <= limit:
            at, number, caller, came, replica = heapq.heappop(ends)
            loads[caller][replica] -= 1
            if number >= calls * WARM_UP:
                times.append(at - came)
            begin(at, replica)

    for number in range(calls):
        now += rng.expovariate(rate)
        end_until(now)
        caller = rng.randrange(callers)
        replica = pick[caller]()
        loads[caller][replica] += 1
        queues[replica].append((number, caller, now, SLOW_MS if rng.random() < SLOW_SHARE else FAST_MS))
        if not busy[replica]:
            begin(now, replica)
    end_until(float("inf"))
    return sorted(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--calls", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    rows = []
    print("| callers | load | policy | p50 ms | p99 ms |")
    print("|---:|---:|---|---:|---:|")
    for callers in (1, 4):
        for load in (0.7, 0.9):
            for name in POLICIES:
                times = simulate(name, callers, load, args.calls, args.seed)
                p50, p99 = (round(times[int(len(times) * share)], 2) for share in (0.5, 0.99))
                rows.append({"callers": callers, "load": load, "policy": name, "p50_ms": p50, "p99_ms": p99})
                print(f"| {callers} | {load} | {name} | {p50} | {p99} |")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
