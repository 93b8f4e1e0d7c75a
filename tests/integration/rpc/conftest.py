import asyncio
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rpc_world import record

from omnitron.rpc.client import RpcClient
from omnitron.rpc.contract import contract_of
from omnitron.rpc.endpoints import Directory, Endpoint
from omnitron.rpc.server import RpcServer

HERE = Path(__file__).parent


class Replica:
    """One slot of a pool: a published symlink, and the worker behind it, started as a keeper would."""

    def __init__(self, folder: Path, slot: int) -> None:
        self.name = f"test/work/{slot}"
        self.path = folder / f"work.{slot}"
        self.incarnation = 0
        self.worker: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self) -> subprocess.Popen[bytes]:
        """Start another incarnation and publish it; the old one is left as it is."""
        self.incarnation += 1
        address = self.path.with_suffix(f".{self.path.suffix}.{self.incarnation}")
        with socket.socket(socket.AF_UNIX) as sock:
            sock.bind(str(address))
            sock.listen(64)
            self.worker = subprocess.Popen(
                [sys.executable, str(HERE / "rpc_worker.py"), str(sock.fileno()), self.name], pass_fds=[sock.fileno()]
            )
        self.workers.append(self.worker)
        link = self.path.with_suffix(".new")
        link.symlink_to(address)
        link.replace(self.path)
        return self.worker

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.name, str(self.path), self.incarnation)

    def kill(self) -> None:
        assert self.worker is not None
        self.worker.send_signal(signal.SIGKILL)
        self.worker.wait()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="rpc") as path:  # short: a socket's path has 107 bytes
        yield Path(path)


@pytest.fixture
def replicas(folder: Path) -> Iterator[Callable[[int], list[Replica]]]:
    """Start so many workers."""
    slots: list[Replica] = []

    def start(count: int) -> list[Replica]:
        slots.extend(Replica(folder, slot) for slot in range(count))
        for slot in slots:
            slot.start()
        return slots

    yield start
    for worker in [worker for slot in slots for worker in slot.workers]:
        if worker.poll() is None:
            worker.kill()
        worker.wait()


@pytest.fixture
async def client_of() -> AsyncIterator[Callable[..., RpcClient]]:
    """Make a client of some replicas."""
    clients: list[RpcClient] = []

    def make(*replicas: Replica, **options: Any) -> RpcClient:
        directory = Directory("test", [record([replica.endpoint for replica in replicas])])
        clients.append(RpcClient(directory, who="test/caller/0", **options))
        return clients[-1]

    yield make
    for client in clients:
        await client.close()


@pytest.fixture
async def serve(folder: Path) -> AsyncIterator[Callable[..., Awaitable[tuple[RpcServer, str]]]]:
    """Serve some instances in this process; the server and its path."""
    servers: list[RpcServer] = []

    async def start(*instances: object, system: tuple[object, ...] = (), **options: Any) -> tuple[RpcServer, str]:
        path = str(folder / f"here.{len(servers)}")
        server = RpcServer(name=f"test/here/{len(servers)}", **options)
        servers.append(server)
        for instance in (*instances, *system):
            server.add(contract_of(type(instance)), instance, system=instance in system)
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(path)
        sock.listen()
        await server.serve(sock)
        return server, path

    yield start
    for server in servers:
        await server.close()
    await asyncio.sleep(0)


def alive(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")
