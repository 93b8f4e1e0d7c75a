"""Calls in a closed loop: one at a time, then 64 in flight."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

IN_FLIGHT = 64
ROUNDS = 3
Call = Callable[[], Awaitable[Any]]


class Driven(msgspec.Struct, frozen=True):
    """p50_us, p99_us: one at a time. per_s, cpu_us (all processes, per call): with IN_FLIGHT."""

    p50_us: float
    p99_us: float
    per_s: float
    cpu_us: float


def cpu_s(pid: int) -> float:
    """User and system time of all its threads."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


async def drive(call: Call, seconds: float, servers: Sequence[int]) -> Driven:
    """Medians of ROUNDS, after a warm-up."""
    await _concurrent(call, seconds / 4)
    rounds = [
        msgspec.structs.astuple(await _round(call, seconds / ROUNDS, [os.getpid(), *servers])) for _ in range(ROUNDS)
    ]
    return Driven(*(median(values) for values in zip(*rounds, strict=True)))


async def _round(call: Call, seconds: float, pids: Sequence[int]) -> Driven:
    latencies = sorted(await _sequential(call, seconds))
    cpu = sum(map(cpu_s, pids))
    done, took = await _concurrent(call, seconds)
    cpu = sum(map(cpu_s, pids)) - cpu
    p50, p99 = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    return Driven(p50_us=p50 * 1e6, p99_us=p99 * 1e6, per_s=done / took, cpu_us=cpu / done * 1e6)


async def _sequential(call: Call, seconds: float) -> list[float]:
    now, latencies = time.perf_counter, []
    begin = now()
    end = begin + seconds
    while begin < end:
        await call()
        after = now()
        latencies.append(after - begin)
        begin = after
    return latencies


async def _concurrent(call: Call, seconds: float) -> tuple[int, float]:
    now, done = time.perf_counter, 0
    begin = now()
    end = begin + seconds

    async def caller() -> None:
        nonlocal done
        while now() < end:
            await call()
            done += 1

    await asyncio.gather(*(caller() for _ in range(IN_FLIGHT)))
    return done, now() - begin
