"""Measures calls between two processes: the floor and ours, in turns, in one run.

    python benchmarks/rpc/bench_rpc.py [--tries 20] [--seconds 0.25] [--in-flight 64] [--loop asyncio] [--json FILE]

Each try measures both, one right after the other: calls one at a time, then --in-flight at once. What counts are the
medians of the ratios of the tries, since a shared machine slows both sides of a ratio. It stops when it is quiet: the
middle half of the ratios of CPU within QUIET of their median, after LEAST_TRIES. CPU is user and system time of client
and server, per call. As a row of a larger comparison this module also has TITLE, DISTS, LOOP, serve(addr, ready) and
connect(addr).
"""

import argparse
import asyncio
import gc
import importlib
import json
import os
import signal
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from payload import LARGE, SMALL, User

TITLE = "Omnitron, full path"
DISTS = ["omnitron", "msgspec"]
LOOP = "asyncio"
KINDS = ("floor", "ours")
LEAST_TRIES = 6
QUIET = 0.05
RATIOS = ("calls_per_s", "seq_calls_per_s", "p50_us", "cpu_us", "seq_cpu_us")


def serve(addr, ready):
    _run(_serve("ours", addr, ready), LOOP)


async def connect(addr):
    return await importlib.import_module("ours").connect(addr)


async def _serve(kind, path, ready):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(path)
    sock.listen()
    await importlib.import_module(kind).serve(sock)
    ready()
    await asyncio.Event().wait()


def _run(coro, loop):
    if loop == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(coro)
    return asyncio.run(coro)


def _start_server(kind, path, loop):
    """Fork a server; return its pid when it accepts."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        _run(_serve(kind, path, lambda: os.write(write, b"!")), loop)
    os.read(read, 1)
    return pid


def _cpu_s(pid):
    """Of this process and the server, in seconds; nanoseconds precise."""
    return time.process_time() + int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


async def _sequential(call, value, seconds):
    now, latencies = time.perf_counter_ns, []
    begin = now()
    end = begin + int(seconds * 1e9)
    while begin < end:
        await call(value)
        after = now()
        latencies.append(after - begin)
        begin = after
    return latencies


async def _concurrent(call, value, seconds, in_flight):
    now, done = time.perf_counter, 0
    end = now() + seconds

    async def caller():
        nonlocal done
        while now() < end:
            await call(value)
            done += 1

    begin = now()
    await asyncio.gather(*(caller() for _ in range(in_flight)))
    return done, now() - begin


async def _try(client, value, pid, args):
    gc.collect()
    before = _cpu_s(pid)
    latencies = await _sequential(client.call, value, args.seconds)
    between = _cpu_s(pid)
    done, took = await _concurrent(client.call, value, args.seconds, args.in_flight)
    after = _cpu_s(pid)
    count = len(latencies)
    latencies.sort()
    return {
        "calls_per_s": done / took,
        "seq_calls_per_s": count / sum(latencies) * 1e9,
        "p50_us": latencies[count // 2] / 1e3,
        "p99_us": latencies[count * 99 // 100] / 1e3,
        "cpu_us": (after - between) / done * 1e6,
        "seq_cpu_us": (between - before) / count * 1e6,
    }


async def _measure(servers, args):
    """Tries by size and kind, after one to warm up; whether it was quiet in the end."""
    clients = {kind: await importlib.import_module(kind).connect(path) for kind, (_, path) in servers.items()}
    values = {"small": {"floor": SMALL, "ours": User(**SMALL)}, "64k": dict.fromkeys(KINDS, LARGE)}
    tries = {size: {kind: [] for kind in KINDS} for size in values}
    for number in range(args.tries + 1):
        for size, of_kind in values.items():
            for kind in KINDS:
                result = await _try(clients[kind], of_kind[kind], servers[kind][0], args)
                if number:
                    tries[size][kind].append(result)
        if quiet := number >= LEAST_TRIES and all(_quiet(of_kind) for of_kind in tries.values()):
            break
    for client in clients.values():
        await client.close()
    return tries, quiet


def _of_floor(of_kind, key):
    return [ours[key] / floor[key] for floor, ours in zip(of_kind["floor"], of_kind["ours"], strict=True)]


def _quiet(of_kind):
    low, middle, high = statistics.quantiles(_of_floor(of_kind, "cpu_us"), n=4)
    return high - low <= 2 * QUIET * middle


def _summary(tries):
    """Medians by size and kind, and of the ratios ours / floor."""
    return {
        size: {kind: {key: statistics.median(t[key] for t in runs) for key in runs[0]} for kind, runs in kinds.items()}
        | {"ratio": {key: statistics.median(_of_floor(kinds, key)) for key in RATIOS}}
        for size, kinds in tries.items()
    }


def _print(summary):
    print("| path | calls/s | CPU us/call | one at a time: calls/s | p50 us | p99 us | CPU us/call |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for size, rows in summary.items():
        for kind in KINDS:
            row = rows[kind]
            print(
                f"| {kind} {size} | {row['calls_per_s']:,.0f} | {row['cpu_us']:.1f} | {row['seq_calls_per_s']:,.0f} | "
                f"{row['p50_us']:.0f} | {row['p99_us']:.0f} | {row['seq_cpu_us']:.1f} |"
            )
        ratio = rows["ratio"]
        print(
            f"| ours / floor {size} | {ratio['calls_per_s']:.2f} | {ratio['cpu_us']:.2f} | "
            f"{ratio['seq_calls_per_s']:.2f} | {ratio['p50_us']:.2f} | | {ratio['seq_cpu_us']:.2f} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tries", type=int, default=20, help="at most")
    parser.add_argument("--seconds", type=float, default=0.25, help="for each of the four parts of a try and size")
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--loop", default="asyncio", choices=("asyncio", "uvloop"))
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = {kind: f"{folder}/{kind}.sock" for kind in KINDS}
        servers = {kind: (_start_server(kind, path, args.loop), path) for kind, path in paths.items()}
        try:
            tries, quiet = _run(_measure(servers, args), args.loop)
        finally:
            for pid, _ in servers.values():
                os.kill(pid, signal.SIGTERM)
                os.waitpid(pid, 0)
    summary, count = _summary(tries), len(tries["small"]["ours"])
    _print(summary)
    print(
        f"{count} tries, {'quiet' if quiet else 'not quiet'} at the end, Python {sys.version.split()[0]}, {args.loop}"
    )
    if args.json:
        about = {"python": sys.version.split()[0], "loop": args.loop, "tries": count, "quiet": quiet}
        args.json.write_text(json.dumps(about | summary, indent=2))


if __name__ == "__main__":
    main()
