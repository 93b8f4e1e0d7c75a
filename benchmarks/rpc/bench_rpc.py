"""Measures calls between two processes: the floor and ours, in turns, in one run.

    python benchmarks/rpc/bench_rpc.py [--rounds 3] [--seconds 1.0] [--in-flight 64] [--loop asyncio] [--out FILE]

Prints a table, and JSON with --out. CPU is user and system time of client and server, per call.
As a row of a larger comparison this module also has TITLE, DISTS, LOOP, serve(addr, ready) and connect(addr).
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
TICKS = os.sysconf("SC_CLK_TCK")


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
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


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


async def _round(client, value, pid, args):
    gc.collect()
    latencies = sorted(await _sequential(client.call, value, args.seconds))
    cpu = _cpu_s(pid) + time.process_time()
    done, took = await _concurrent(client.call, value, args.seconds * 2, args.in_flight)
    cpu = _cpu_s(pid) + time.process_time() - cpu
    return {
        "p50_us": latencies[len(latencies) // 2] / 1e3,
        "p99_us": latencies[len(latencies) * 99 // 100] / 1e3,
        "calls_per_s": done / took,
        "cpu_us_per_call": cpu / done * 1e6,
    }


async def _measure(servers, args):
    rows = {}
    clients = {kind: await importlib.import_module(kind).connect(path) for kind, (_, path) in servers.items()}
    for size, value in (("small", None), ("64k", LARGE)):
        rounds = {kind: [] for kind in clients}
        for number in range(args.rounds + 1):
            for kind, client in clients.items():
                sent = value or (User(**SMALL) if kind == "ours" else SMALL)
                result = await _round(client, sent, servers[kind][0], args)
                if number:  # the first warms up
                    rounds[kind].append(result)
        for kind, results in rounds.items():
            rows[f"{kind} {size}"] = {key: statistics.median(r[key] for r in results) for key in results[0]}
    for client in clients.values():
        await client.close()
    return rows


def _print(rows):
    print("| path | p50 us | p99 us | calls/s | CPU us/call | of floor | p50 / floor |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name, row in rows.items():
        floor = rows["floor " + name.split()[1]]
        print(
            f"| {name} | {row['p50_us']:.0f} | {row['p99_us']:.0f} | {row['calls_per_s']:,.0f} | "
            f"{row['cpu_us_per_call']:.1f} | {row['calls_per_s'] / floor['calls_per_s']:.2f} | "
            f"{row['p50_us'] / floor['p50_us']:.2f} |"
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--loop", default="asyncio", choices=("asyncio", "uvloop"))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = {kind: f"{folder}/{kind}.sock" for kind in ("floor", "ours")}
        servers = {kind: (_start_server(kind, path, args.loop), path) for kind, path in paths.items()}
        try:
            rows = _run(_measure(servers, args), args.loop)
        finally:
            for pid, _ in servers.values():
                os.kill(pid, signal.SIGTERM)
                os.waitpid(pid, 0)
    _print(rows)
    if args.out:
        args.out.write_text(json.dumps({"python": sys.version.split()[0], "loop": args.loop, "rows": rows}, indent=2))


if __name__ == "__main__":
    main()
