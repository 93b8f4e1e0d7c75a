"""A keeper's part in these tests: sockets, boot message, a real replica process, and the control connection to it."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from omnitron.control.replica import ENV_BOOT, BootSpec, ReplicaApi, ReplicaReport
from omnitron.model.process import Process
from omnitron.rpc.client import connect, over
from omnitron.rpc.link import Link

DEADLINE_S = 20.0


class Replica:
    """One `python -m omnitron.child`, with its sockets in a folder of its own."""

    def __init__(self, folder: Path, process: Process, *, http: socket.socket | None = None, **boot: Any) -> None:
        self.run = Path(tempfile.mkdtemp(prefix="omr-"))
        self.path = str(self.run / "c")
        control = socket.socket(socket.AF_UNIX)
        control.bind(self.path)
        control.listen(64)
        descriptors = [control.fileno()] + ([http.fileno()] if http is not None else [])
        spec = BootSpec(
            stack="dev", app="market", version="1.0.0", process=msgspec.to_builtins(process), slot=0, incarnation=1,
            cwd=str(folder), control_fd=control.fileno(), http_fd=http.fileno() if http is not None else None,
            keeper_socket=str(self.run / "k"), **boot,
        )  # fmt: skip
        with (self.run / "err").open("wb") as errors:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "omnitron.child"],
                cwd=folder,
                env={**os.environ, ENV_BOOT: msgspec.json.encode(spec).decode()},
                pass_fds=descriptors,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        control.close()
        self.link: Link | None = None
        self.reports: list[ReplicaReport] = []

    async def connect(self) -> ReplicaApi:
        if self.link is None:
            _, self.link = await connect(self.path, ReplicaApi, who="keeper", timeout_s=DEADLINE_S)
        return over(self.link, ReplicaApi)

    async def until(self, *phases: str) -> ReplicaReport:
        """Watch until one of the phases."""
        api = await self.connect()
        async with asyncio.timeout(DEADLINE_S):
            async for report in api.watch():
                self.reports.append(report)
                if report.phase in phases:
                    return report
        raise AssertionError(f"ended with {self.reports}: {self.errors()}")

    def service(self, cls: type[Any]) -> Any:
        assert self.link is not None
        return over(self.link, cls)

    def terminate(self) -> None:
        self.popen.send_signal(signal.SIGTERM)

    async def exit_code(self) -> int:
        return await asyncio.wait_for(asyncio.to_thread(self.popen.wait, DEADLINE_S), DEADLINE_S + 1)

    def output(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.read().decode()

    def errors(self) -> str:
        return (self.run / "err").read_text()

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.errors().splitlines() if line.startswith("{")]

    async def close(self) -> None:
        if self.link is not None:
            self.link.abort()
            await self.link.closed
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()
        if self.popen.stdout is not None:
            self.popen.stdout.close()
        shutil.rmtree(self.run, ignore_errors=True)


def listen() -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(128)
    return sock


Keep = Callable[..., Replica]
