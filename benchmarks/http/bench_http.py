"""RPC over HTTP against a bare ASGI application on the same uvicorn, and HTTP -> pool of two workers.

    python benchmarks/http/bench_http.py [seconds per case]

The client is a raw asyncio protocol on 64 keep-alive connections, one request in flight on each. On a shared machine
the requests per second move with the neighbours, so the server's own CPU time per request stands beside them.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from omnitron.control.keeper import EndpointInfo, ServiceEndpoints
from omnitron.control.replica import ENV_BOOT, BootSpec, ReplicaApi
from omnitron.model.process import Process
from omnitron.model.transports import Http, Transports
from omnitron.rpc.client import connect, over

CONNECTIONS = 64
RAW = """
import json, socket, sys, uvicorn
async def app(scope, receive, send):
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    a = json.loads(body)
    answer = json.dumps(a[0] + a[1]).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
config = uvicorn.Config(app, http="httptools", loop="asyncio", lifespan="off", log_level="error", access_log=False)
uvicorn.Server(config).run(sockets=[socket.socket(fileno=int(sys.argv[1]))])
"""
APP = """
from omnitron import Remote, rpc, service

@service("adder@1.0.0")
class Adder:
    @rpc(anonymous=True)
    async def add(self, a: int, b: int) -> int:
        return a + b
"""
FRONT = """
from omnitron import Remote, rpc, service
from worker import Adder

@service("front@1.0.0")
class Front:
    def __init__(self, pool: Remote[Adder]) -> None:
        self.pool = pool

    @rpc(anonymous=True)
    async def add(self, a: int, b: int) -> int:
        return await self.pool.add(a, b)
"""


class Caller(asyncio.Protocol):
    def __init__(self, request: bytes, stats: dict[str, int]) -> None:
        self.request, self.stats, self.buffer = request, stats, b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head = self.buffer.find(b"\r\n\r\n")
        if head < 0 or len(self.buffer) < head + 5:  # the answer is one digit
            return
        self.stats["done" if self.buffer.startswith(b"HTTP/1.1 200") else "wrong"] += 1
        self.buffer = b""
        self.send()


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def load(port: int, path: str, pid: int, seconds: float) -> dict[str, float]:
    body = b"[1,2]"
    request = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    stats = {"done": 0, "wrong": 0}
    loop = asyncio.get_running_loop()
    made = [
        (await loop.create_connection(lambda: Caller(request, stats), "127.0.0.1", port))[0] for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(0.3)
    done, cpu, begun = stats["done"], cpu_s(pid), time.perf_counter()
    await asyncio.sleep(seconds)
    done, cpu, took = stats["done"] - done, cpu_s(pid) - cpu, time.perf_counter() - begun
    for transport in made:
        transport.abort()
    if stats["wrong"]:
        raise SystemExit(f"{path}: {stats['wrong']} answers were no success")
    return {"per_s": done / took, "cpu_us": cpu / done * 1e6}


def listen() -> socket.socket:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen(256)
    return sock


class Started:
    def __init__(self, folder: Path, name: str, module: str, http: socket.socket | None = None, slot: int = 0) -> None:
        self.path = str(folder / f"{name}.{slot}")
        control = socket.socket(socket.AF_UNIX)
        control.bind(self.path)
        control.listen(64)
        transports = Transports(http=Http(port=0)) if http is not None else Transports()
        spec = BootSpec(
            stack="dev", app="bench", version="1.0.0", slot=slot, incarnation=1, cwd=str(folder),
            process=msgspec.to_builtins(Process(name=name, module=module, transports=transports)),
            control_fd=control.fileno(), http_fd=http.fileno() if http is not None else None,
            keeper_socket=str(folder / "k"),
        )  # fmt: skip
        descriptors = [control.fileno()] + ([http.fileno()] if http is not None else [])
        env = {**os.environ, ENV_BOOT: msgspec.json.encode(spec).decode()}
        command = [sys.executable, "-m", "omnitron.child"]
        self.popen = subprocess.Popen(command, cwd=folder, env=env, pass_fds=descriptors, stderr=subprocess.DEVNULL)
        control.close()

    async def ready(self) -> ReplicaApi:
        api, link = await connect(self.path, ReplicaApi, who="bench", timeout_s=20)
        async for report in api.watch():
            if report.phase == "failed":
                raise SystemExit(report.detail)
            if report.phase == "ready":
                break
        return over(link, ReplicaApi)


def start_raw(descriptor: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", RAW, str(descriptor)], pass_fds=[descriptor])


BARE, RPC, POOL = "bare ASGI on uvicorn", "RPC over HTTP", "HTTP -> pool of 2"


async def measure(seconds: float, wanted: Collection[str] = (BARE, RPC, POOL)) -> dict[str, dict[str, float]]:
    """{case: {"per_s": requests, "cpu_us": of the serving process, per request}}."""
    folder = Path(tempfile.mkdtemp(prefix="omb-"))
    (folder / "worker.py").write_text(APP)
    (folder / "front.py").write_text(FRONT)
    sockets = [listen() for _ in range(3)]
    ports = [sock.getsockname()[1] for sock in sockets]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        raw = start_raw(sockets[0].fileno())
        processes.append(raw)
        ours = Started(folder, "ours", "worker", sockets[1])
        pool = [Started(folder, "pool", "worker", slot=slot) for slot in range(2)]
        front = Started(folder, "front", "front", sockets[2])
        processes += [ours.popen, front.popen, *(worker.popen for worker in pool)]
        for started in (ours, *pool):
            await started.ready()
        endpoints = tuple(EndpointInfo(f"bench/pool/{i}", worker.path, 1, 64) for i, worker in enumerate(pool))
        api = await front.ready()
        await api.directory([ServiceEndpoints("bench", "adder@1.0.0", "Adder", endpoints)])
        results: dict[str, dict[str, float]] = {}
        for _ in range(2):  # interleaved, the better of two
            for name, port, path, pid in (
                (BARE, ports[0], "/", raw.pid),
                (RPC, ports[1], "/rpc/adder/add", ours.popen.pid),
                (POOL, ports[2], "/rpc/front/add", front.popen.pid),
            ):
                if name not in wanted:
                    continue
                found = await load(port, path, pid, seconds)
                if found["per_s"] > results.get(name, {"per_s": 0})["per_s"]:
                    results[name] = found
        return results
    finally:
        for process in processes:
            process.kill()
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


async def main(seconds: float) -> None:
    results = await measure(seconds)
    floor = results[BARE]
    for name, found in results.items():
        ratio, cpu_ratio = found["per_s"] / floor["per_s"], floor["cpu_us"] / found["cpu_us"]
        speed = f"{found['per_s']:8.0f}/s {found['cpu_us']:7.1f} us CPU"
        print(f"{name:24}{speed}  {ratio:5.2f} of bare, by CPU {cpu_ratio:5.2f}")
    print(json.dumps(results))


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0))
