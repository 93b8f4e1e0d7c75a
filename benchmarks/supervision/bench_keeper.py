"""What supervision costs: `python benchmarks/supervision/bench_keeper.py`.

Times are taken from the kernel's or the keeper's own clocks where one process can see both ends, not by asking the
keeper over and over, which would measure the questions.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any

from omnitron.base.home import Home
from omnitron.control.keeper import AppSpec, KeeperApi, ProcessSpec
from omnitron.logs.read import tail
from omnitron.model.process import Process
from omnitron.model.restart import Backoff, Restart
from omnitron.model.topology import Topology
from omnitron.rpc.client import connect
from omnitron.supervise.processinfo import read_pss

AT_ONCE = Restart(intensity=1000, backoff=Backoff(base=0.0, first=0.0))
WORKER = """
from omnitron import rpc, service
@service("w@1.0.0")
class W:
    @rpc
    async def hello(self) -> str: return "hello"
"""
LINES = 200_000
UNTIL_S = 60.0


class Bench:
    def __init__(self, root: Path, api: KeeperApi, keeper: int) -> None:
        self.home, self.api, self.keeper = Home(root), api, keeper

    def spec(self, *processes: ProcessSpec) -> AppSpec:
        return AppSpec(
            app="a", stack="dev", version="1", cwd=str(self.home.root), python=sys.executable, processes=processes,
            log_dir=str(self.home.log_dir("dev", "a")),
        )  # fmt: skip

    async def until(self, kind: str, count: int, after: int = 0) -> list[Any]:
        """That many events of a kind; RuntimeError with the keeper's account if they do not come."""
        found: list[Any] = []
        try:
            async with asyncio.timeout(UNTIL_S):
                async for event in self.api.events(after):
                    if event.kind == kind:
                        found.append(event)
                        if len(found) == count:
                            break
        except TimeoutError:
            log = (self.home.root / "keeper.log").read_text()[-500:]
            text = f"{len(found)} of {count} {kind} within {UNTIL_S:.0f} s"
            raise RuntimeError(f"{text}: {await self.api.status()}\n{log}") from None
        return found


def run_keeper(root: str) -> subprocess.Popen[bytes]:
    """Returns when it listens."""
    Path(root, "bench_worker.py").write_text(WORKER)
    command = [sys.executable, "-m", "omnitron.supervise.keeper", "--home", root, "--stack", "dev", "--app", "a"]
    with Path(root, "keeper.log").open("wb") as log:
        process = subprocess.Popen(command, start_new_session=True, stderr=log)
    while not Home(root).keeper_socket("dev", "a").exists():
        time.sleep(0.01)
    return process


@asynccontextmanager
async def keeper() -> AsyncIterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="bench-") as root:
        process = run_keeper(root)
        api, link = await connect(str(Home(root).keeper_socket("dev", "a")), KeeperApi)  # type: ignore[type-abstract]
        yield Bench(Path(root), api, process.pid)
        await api.shutdown(True)
        link.finish()
        process.wait()


def command(name: str, *argv: str, **more: Any) -> ProcessSpec:
    return ProcessSpec(process=Process(name=name, command=argv, restart=AT_ONCE, **more))


async def start_twenty() -> float:
    """Milliseconds from the request until the keeper has told that the last of 20 `sleep` is up."""
    async with keeper() as bench:
        spec = bench.spec(*(command(f"p{n}", "/bin/sleep", "1000") for n in range(20)))
        begin = time.time()
        await bench.api.apply(spec)
        events = await bench.until("replica.ready", 20)
        return (events[-1].time - begin) * 1000


async def kill_again(bench: Bench, ready: Any, times: int, pause_s: float) -> list[float]:
    """Milliseconds from each kill until the event of readiness. Subscribed before: asking would be measured too."""
    took, events = [], aiter(bench.api.events(ready.seq))
    for _ in range(times):
        await asyncio.sleep(pause_s)
        begin = time.time()
        os.kill(ready.data["pid"], signal.SIGKILL)
        async with asyncio.timeout(UNTIL_S):
            while (ready := await anext(events)).kind != "replica.ready":
                pass
        took.append((ready.time - begin) * 1000)
    return took


async def crash_to_replacement(times: int = 20) -> list[float]:
    """Milliseconds from each kill to the replacement's start."""
    async with keeper() as bench:
        await bench.api.apply(bench.spec(command("p", "/bin/sleep", "1000")))
        (ready,) = await bench.until("replica.ready", 1)
        return await kill_again(bench, ready, times, 0.05)


async def crash_to_ready(times: int = 20) -> list[float]:
    """Milliseconds from each kill of a replica until its successor, forked from a template, is ready."""
    async with keeper() as bench:
        process = Process(name="w", module="bench_worker", instances=2, restart=AT_ONCE, topology=Topology(expose=True))
        await bench.api.apply(bench.spec(ProcessSpec(process=process, count=2, services=(("w@1.0.0", "W"),))))
        ready = (await bench.until("replica.ready", 2))[-1]
        return await kill_again(bench, ready, times, 0.1)


async def log_lines() -> float:
    """Seconds until 200k plain lines of one child are in the log; raises if one is missing or torn."""
    async with keeper() as bench:
        print_all = f"seq -f 'line %.0f of the log of a child' {LINES}"
        script = f"head -c 1 $OMNITRON_HOME/go > /dev/null; {print_all}; exec sleep 1000"
        os.mkfifo(bench.home.root / "go")
        await bench.api.apply(bench.spec(command("p", "/bin/sh", "-c", script)))
        await bench.until("replica.ready", 1)
        folder = bench.home.log_dir("dev", "a")
        begin = time.perf_counter()
        (bench.home.root / "go").write_bytes(b"x")
        last = f"line {LINES} of the log of a child"
        while not (found := tail(folder, ["p"], 1)) or found[-1].msg != last:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        took = time.perf_counter() - begin
        lines = [record.msg for record in tail(folder, ["p"], LINES + 10) if record.msg.startswith("line")]
        assert lines == [f"line {n} of the log of a child" for n in range(1, LINES + 1)]
        return took


async def idle(seconds: float = 20.0) -> tuple[float, float]:
    """(PSS in MiB, percent of one CPU) of a keeper with 20 commands and nothing to do."""
    async with keeper() as bench:
        await bench.api.apply(bench.spec(*(command(f"p{n}", "/bin/sleep", "1000") for n in range(20))))
        await bench.until("replica.ready", 20)
        await asyncio.sleep(1)
        before = cpu_seconds(bench.keeper)
        await asyncio.sleep(seconds)
        used = cpu_seconds(bench.keeper) - before
        return (read_pss(bench.keeper) or 0) / 2**20, 100 * used / seconds


def cpu_seconds(pid: int) -> float:
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


async def main() -> None:
    pss, cpu = await idle()
    figures = {
        "start_20_commands_ms": await start_twenty(),
        "crash_to_replacement_ms": median(await crash_to_replacement()),
        "crash_to_ready_from_template_ms": median(await crash_to_ready()),
        "log_200k_lines_s": await log_lines(),
        "idle_keeper_pss_mib": pss,
        "idle_keeper_cpu_percent": cpu,
    }
    print(json.dumps({name: round(value, 3) for name, value in figures.items()}, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
