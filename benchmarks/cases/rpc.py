"""Calls between two processes: ours and the floor in turns (benchmarks/rpc), then what one would use instead."""

import asyncio
import importlib
import importlib.util
import json
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.harness.row import Row
from benchmarks.peers.driver import Driven, drive

PEERS: Final = {"http_json": None, "grpc_aio": 15.0, "pyro": None, "rpyc_classic": None}  # calls/s we want of theirs
FLOOR: Final = "Unix socket + msgpack"
SMALL: Final = {
    "id": 123456, "name": "user-0123456", "email": "user@example.org",
    "active": True, "score": 0.25, "tags": ["alpha", "beta"], "parent": None,
}  # fmt: skip
CONNECT_S: Final = 10.0
Found = dict[str, dict[str, float]]


def run(quick: bool) -> list[Row]:
    small, large = _ours_and_floor(quick)
    ours = small["ours"]
    rows = [
        Row(name="calls/s, 64 in flight, small", unit="/s", better="higher", limit=45_000, ratio_limit=0.6,
            note="full path: validation, principal, trace, deadline, error mapping", **_pair(small, "calls_per_s")),
        Row(name="one call at a time, small, p50", unit="µs", ratio_limit=1.25, **_pair(small, "p50_us")),
        Row(name="CPU per call, both processes, small", unit="µs", **_pair(small, "cpu_us")),
        Row(name="calls/s, 64 in flight, 64 KiB", unit="/s", better="higher", ratio_limit=0.6,
            **_pair(large, "calls_per_s")),
        Row(name="one call at a time, 64 KiB, p50", unit="µs", **_pair(large, "p50_us")),
    ]  # fmt: skip
    for name, ratio in PEERS.items():
        module = importlib.import_module(f"benchmarks.peers.{name}")
        if all(importlib.util.find_spec(needed) for needed in module.NEEDS):
            peer = asyncio.run(_peer(name, module, 0.3 if quick else 3.0))
            rows += _beside(module.TITLE, peer, ours, ratio)
    return rows


def _beside(title: str, peer: Driven, ours: dict[str, float], ratio: float | None) -> list[Row]:
    return [
        Row(name="calls/s, 64 in flight, small", value=ours["calls_per_s"], unit="/s", better="higher", peer=title,
            peer_value=peer.per_s, ratio_limit=ratio),
        Row(name="one call at a time, small, p50", value=ours["p50_us"], unit="µs", peer=title, peer_value=peer.p50_us),
        Row(name="CPU per call, both processes, small", value=ours["cpu_us"], unit="µs", peer=title,
            peer_value=peer.cpu_us),
    ]  # fmt: skip


def _pair(size: Found, key: str) -> dict[str, Any]:
    return {
        "value": size["ours"][key], "peer": FLOOR, "peer_value": size["floor"][key], "paired": size["ratio"][key],
    }  # fmt: skip


def _ours_and_floor(quick: bool) -> tuple[Found, Found]:
    """(small, 64 KiB), by the script of benchmarks/rpc."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        script = Path(__file__).parents[1] / "rpc" / "bench_rpc.py"
        effort = ["--tries", "2", "--seconds", "0.1"] if quick else []
        subprocess.run([sys.executable, str(script), *effort, "--json", str(out)], check=True)
        found = json.loads(out.read_bytes())
        return found["small"], found["64k"]


async def _peer(name: str, module: Any, seconds: float) -> Driven:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "benchmarks.peers.rpc_server", name, str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220 - returns at once
    try:
        assert server.stdout is not None
        server.stdout.readline()
        _wait(port)
        client = module.Client(port)
        assert await client.call(SMALL) == SMALL
        found = await drive(lambda: client.call(SMALL), seconds, [server.pid])
        await client.close()
        return found
    finally:
        server.kill()
        server.wait()


def _wait(port: int) -> None:
    deadline = time.monotonic() + CONNECT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
