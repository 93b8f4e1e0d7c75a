"""kill -9 of one child, until its successor runs or is ready."""

import asyncio
import os
import signal
import time
from statistics import median, quantiles

from benchmarks.harness.row import Row
from benchmarks.supervision.bench_keeper import crash_to_ready, crash_to_replacement


def run(quick: bool) -> list[Row]:
    commands, bare, replicas = [], [], []
    for _ in range(1 if quick else 4):  # in turns
        commands += asyncio.run(crash_to_replacement(5))
        bare += asyncio.run(_bare(5))
        replicas += asyncio.run(crash_to_ready(5))
    return [
        Row(name="command: killed → replaced, median", value=median(commands), p95=_p95(commands), unit="ms",
            peer="bare asyncio loop", peer_value=median(bare), limit=5.0),
        Row(name="replica of a template: killed → ready, median", value=median(replicas), p95=_p95(replicas),
            unit="ms", limit=10.0, note="ready: it answers calls and is published"),
    ]  # fmt: skip


def _p95(values: list[float]) -> float:
    return quantiles(values, n=20)[-1]


async def _bare(times: int) -> list[float]:
    """The least that replaces what has ended."""
    took = []
    child = await asyncio.create_subprocess_exec("/bin/sleep", "1000")
    for _ in range(times):
        await asyncio.sleep(0.05)
        begin = time.time()
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        child = await asyncio.create_subprocess_exec("/bin/sleep", "1000")
        took.append((time.time() - begin) * 1000)
    child.kill()
    await child.wait()
    return took
