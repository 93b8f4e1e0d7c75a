"""A real system in a home of its own: real daemon, keepers and replicas, driven as an operator would, then removed.

    def test_greets(real_system):
        system = real_system("path/to/system.py")
        assert httpx.get(f"{system.url('shop/http')}/hello/you").status_code == 200
        system.kill("shop/greeter/0")
        system.wait(lambda: len(system.ready("shop/greeter")) == 2)

It runs in the stack "test", in which every port is allocated, so that systems in several tests do not meet.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from omnitron.base.home import HOME_VARIABLE, Home
from omnitron.cli.connect import connect
from omnitron.control.daemon import InfraStatus, StackStatus
from omnitron.control.events import Event
from omnitron.control.keeper import AppStatus, ProcessStatus, ReplicaStatus
from omnitron.testing.census import Census

T = TypeVar("T")
TEST_STACK: Final = "test"
COMMAND_TIMEOUT_S: Final = 180.0
WAIT_S: Final = 30.0
POLL_S: Final = 0.02


class RealSystem:
    """One home; `up` may be called for several definitions in it. Use as a context manager, or call `close`."""

    def __init__(self, *, stack: str = TEST_STACK, env: Mapping[str, str] | None = None) -> None:
        self.home = Home(tempfile.mkdtemp(prefix="omnitron-test-"))
        self.stack = stack
        self.env = {**os.environ, HOME_VARIABLE: str(self.home.root), "NO_COLOR": "1", **(env or {})}
        self.census = Census(self.home, stack)

    def __enter__(self) -> "RealSystem":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cli(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `omnitron` with these arguments; a failure raises with what it printed, unless `check=False`."""
        done = subprocess.run(
            [sys.executable, "-m", "omnitron", *arguments],
            env=self.env,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"omnitron {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}\n"
                + self._log()
            )
        return done

    def json(self, *arguments: str) -> Any:
        """What the command prints with `--json`."""
        return json.loads(self.cli(*arguments, "--json").stdout)

    def up(self, path: Path | str) -> None:
        """`omnitron up`; returns when everything is ready."""
        self.cli("up", str(path), "--stack", self.stack)

    def act(self, verb: str, target: str, *more: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`omnitron restart market/http --stack test` and the like."""
        return self.cli(verb, target, *more, "--stack", self.stack, check=check)

    def status(self) -> StackStatus:
        """Straight from the daemon."""
        with connect(self.home) as daemon:
            return next(s for s in daemon.status(self.stack).stacks if s.name == self.stack)

    def app(self, name: str) -> AppStatus:
        return next(app for app in self.status().apps if app.app == name)

    def process(self, target: str) -> ProcessStatus:
        """`app/process`."""
        app, _, name = target.partition("/")
        return next(process for process in self.app(app).processes if process.name == name)

    def replica(self, target: str) -> ReplicaStatus:
        """`app/process/slot`."""
        return next(r for r in self.process(target.rpartition("/")[0]).replicas if r.replica == target)

    def infra(self, name: str) -> InfraStatus:
        """A service of the stack's infrastructure: "postgres", "redis"."""
        return next(service for service in self.status().infrastructure if service.name == name)

    def ready(self, target: str) -> list[ReplicaStatus]:
        """The ready replicas of a process."""
        return [replica for replica in self.process(target).replicas if replica.ready]

    def url(self, target: str) -> str:
        """Where a process serves HTTP."""
        return f"http://127.0.0.1:{self.process(target).ports['http']}"

    def database_url(self, target: str) -> str:
        """DATABASE_URL as the process gets it."""
        with connect(self.home) as daemon:
            return daemon.env(self.stack, target)["DATABASE_URL"]

    def events(self, target: str | None = None, last: int = 1000) -> list[Event]:
        """What happened to the target, oldest first."""
        with connect(self.home) as daemon:
            return list(daemon.events(self.stack, target, last, False))

    def kill(self, target: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to whom `pid` finds; its pid."""
        pid = self.pid(target)
        os.kill(pid, number)
        return pid

    def pid(self, target: str) -> int:
        """Of "daemon", "keeper:APP", "template:APP/PROCESS", "infra:SERVICE" or a replica."""
        if target == "daemon":
            return int(json.loads(self.home.daemon_info.read_bytes())["pid"])
        kind, _, name = target.rpartition(":")
        if kind == "keeper":
            return self.app(name).keeper_pid
        if kind == "template":
            (template,) = self.census.templates()[name]
            return template
        pid = self.infra(name).pid if kind == "infra" else self.replica(target).pid
        assert pid is not None, f"{target} does not run"
        return pid

    def pids(self) -> dict[str, int]:
        """All running replicas."""
        apps = self.status().apps
        return {r.replica: r.pid for a in apps for p in a.processes for r in p.replicas if r.pid is not None}

    def wait(self, what: Callable[[], T], timeout_s: float = WAIT_S) -> T:
        """Ask until the answer is true, or fail with the last answer or error."""
        deadline = time.monotonic() + timeout_s
        last: object = None
        while time.monotonic() < deadline:
            try:
                if found := what():
                    return found
                last = found
            except Exception as error:  # what is not there yet may fail in any way
                last = error
            time.sleep(POLL_S)
        raise AssertionError(f"not so within {timeout_s} s; last: {last!r}\n{self._log()}")

    def close(self) -> None:
        """Stop everything, by force what does not end by itself, and remove the home."""
        try:
            done = self.cli("kill", check=False)
            if done.returncode not in (0, 2):
                sys.stderr.write(f"omnitron kill: {done.stdout}{done.stderr}\n{self._log()}\n")
        finally:
            self._exterminate()
            shutil.rmtree(self.home.root, ignore_errors=True)
            if self.home.data_dir(self.stack).is_relative_to("/var/lib/omnitron"):
                shutil.rmtree(self.home.data_dir(self.stack).parent, ignore_errors=True)

    def survivors(self) -> list[int]:
        """Processes that carry this home in their environment: what a clean stop leaves none of."""
        return self.census.everybody()

    def _exterminate(self) -> None:
        """Keepers first, which would start anew what was killed."""
        deadline = time.monotonic() + WAIT_S
        while (left := self.survivors()) and time.monotonic() < deadline:
            keepers = {pid for pids in self.census.keepers().values() for pid in pids}
            for pid in sorted(left, key=lambda pid: pid not in keepers):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(POLL_S)

    def _log(self) -> str:
        try:
            return f"daemon log:\n{self.home.daemon_log.read_text(errors='replace')[-3000:]}"
        except OSError:
            return "no daemon log"
