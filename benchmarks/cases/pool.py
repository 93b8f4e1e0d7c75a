"""A pool: calls to it from a process and over HTTP, and what it weighs forked from a template."""

import asyncio
import importlib.util
import operator
import os
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.harness.row import Row
from benchmarks.http.bench_http import APP, BARE, POOL, Started, measure
from benchmarks.peers.driver import Driven, drive
from benchmarks.supervision.bench_keeper import keeper
from omnitron import rpc, service
from omnitron.control.keeper import ProcessSpec
from omnitron.model.process import Process
from omnitron.model.topology import Topology
from omnitron.rpc.client import RpcClient
from omnitron.rpc.endpoints import Directory, Endpoint, ServiceRecord
from omnitron.supervise.processinfo import children_of, read_pss, read_stat

HEAVY = ("numpy", "pandas", "sklearn")
SYNTHETIC = "TABLE = {number: [str(number), (number, -number)] for number in range(250_000)}\n"
WORKER = """
from omnitron import rpc, service
{imports}

@service("w@1.0.0")
class W:
    @rpc
    async def hello(self) -> str: return "hello"
"""


@service("adder@1.0.0")
class Adder:
    """What the workers of bench_http offer, for the proxy."""

    @rpc(anonymous=True)
    async def add(self, a: int, b: int) -> int:
        return a + b


def run(quick: bool) -> list[Row]:
    seconds = 0.3 if quick else 2.0
    ours, peer = asyncio.run(_ours(seconds)), _executor(seconds)
    found = asyncio.run(measure(0.5 if quick else 4.0, (BARE, POOL)))
    http, bare = found[POOL], found[BARE]
    executor = "ProcessPoolExecutor"
    return [
        Row(name="calls/s, 64 in flight, pool of 2", value=ours.per_s, unit="/s", better="higher", peer=executor,
            peer_value=peer.per_s, note="the caller is one process, and is what limits it"),
        Row(name="one call at a time, p50", value=ours.p50_us, unit="µs", peer=executor, peer_value=peer.p50_us),
        Row(name="CPU per call, all processes", value=ours.cpu_us, unit="µs", peer=executor, peer_value=peer.cpu_us),
        Row(name="HTTP → pool of 2, through one HTTP process", value=http["per_s"], unit="/s", better="higher",
            peer="bare ASGI, no pool", peer_value=bare["per_s"], limit=10_000,
            note=f"64 keep-alive connections; {http['cpu_us']:.0f} µs of CPU a request in that process"),
        *asyncio.run(_memory()),
    ]  # fmt: skip


async def _ours(seconds: float) -> Driven:
    folder = Path(tempfile.mkdtemp())
    (folder / "worker.py").write_text(APP)
    workers = [Started(folder, "pool", "worker", slot=slot) for slot in range(2)]
    try:
        for worker in workers:
            await worker.ready()
        endpoints = tuple(Endpoint(f"bench/pool/{slot}", worker.path) for slot, worker in enumerate(workers))
        client = RpcClient(Directory("bench", [ServiceRecord("bench", "adder", "1.0.0", "Adder", endpoints)]))
        adder = client.proxy(Adder)
        found = await drive(lambda: adder.add(1, 2), seconds, [worker.popen.pid for worker in workers])
        await client.close()
        return found
    finally:
        for worker in workers:
            worker.popen.kill()
            worker.popen.wait()
        shutil.rmtree(folder)


def _executor(seconds: float) -> Driven:
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(operator.neg, range(100)))

        async def measured() -> Driven:
            loop = asyncio.get_running_loop()
            call: Callable[[], Awaitable[Any]] = lambda: loop.run_in_executor(pool, operator.add, 1, 2)  # noqa: E731
            return await drive(call, seconds, children_of(os.getpid()))

        return asyncio.run(measured())


async def _memory() -> list[Row]:
    """PSS of four workers (and of the template, which is part of the price), and how soon one is ready."""
    installed = [name for name in HEAVY if importlib.util.find_spec(name)]
    what = " + ".join(installed) if installed else "a table of 250,000 entries"
    (template, forked), (spawned, fresh) = await _weigh(True, installed), await _weigh(False, installed)
    note = f"each worker has imported {what}; the template itself is counted"
    return [
        Row(name="memory of a pool of 4, PSS", value=template / 2**20, unit="MiB", peer="fresh interpreters",
            peer_value=spawned / 2**20, note=note),
        Row(name="one more worker, to ready", value=forked, unit="ms", peer="fresh interpreters", peer_value=fresh),
    ]  # fmt: skip


async def _weigh(preload: bool, installed: list[str]) -> tuple[int, float]:
    """(bytes of four workers and their template, milliseconds until a fifth is ready)."""
    async with keeper() as bench:
        imports = f"import {', '.join(installed)}" if installed else SYNTHETIC
        (bench.home.root / "heavy.py").write_text(WORKER.format(imports=imports))
        process = Process(name="w", module="heavy", instances=4, preload=preload, topology=Topology(expose=True))
        await bench.api.apply(bench.spec(ProcessSpec(process=process, count=4, services=(("w@1.0.0", "W"),))))
        ready = (await bench.until("replica.ready", 4))[-1]
        mine = [stat for pid in children_of(bench.keeper) if (stat := read_stat(pid)) is not None]
        weight = sum(read_pss(stat.pid) or 0 for stat in mine)
        begin = time.time()
        await bench.api.scale("w", 5)
        (fifth,) = await bench.until("replica.ready", 1, after=ready.seq)
        return weight, (fifth.time - begin) * 1000
