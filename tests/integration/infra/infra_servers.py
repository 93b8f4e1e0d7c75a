"""Real servers in folders of their own, started as a keeper would and gone after the test."""

import asyncio
import os
import pwd
import shlex
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import asyncpg
import msgspec

from omnitron.base.rand import SystemRand
from omnitron.infra import prepare, provision, requests
from omnitron.infra.drivers import native
from omnitron.infra.plan import ServicePlan, plan_infra
from omnitron.infra.settle import Settled, app_env, server_url, settle
from omnitron.infra.steps import run_step
from omnitron.model.ecosystem import Ecosystem, as_ecosystem, define_ecosystem
from omnitron.model.facts import AppFacts
from omnitron.model.infrastructure import InfraService, Infrastructure
from omnitron.model.needs import Needs
from omnitron.model.process import Process
from omnitron.model.system import System, define_system

READY_WITHIN = 30.0  # seconds


def app(name: str, **needs: Any) -> System:
    command = Process(name="main", command=("sleep", "1"))
    return define_system(name=name, version="1.0.0", processes=[command], needs=Needs(**needs))


def facts(*systems: System, cwd: str = "/") -> list[AppFacts]:
    return [AppFacts(app=system.name, system=system, cwd=cwd) for system in systems]


def ecosystem_of(*systems: System, services: dict[str, InfraService] | None = None, **stacks: Any) -> Ecosystem:
    if services is None and not stacks and len(systems) == 1:
        return as_ecosystem(systems[0])
    return define_ecosystem(
        name="eco", apps=list(systems), infrastructure=Infrastructure(services=services or {}), stacks=stacks
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One service: prepared, then run by the command that came of it. throwaway: in processes, as the daemon does."""

    throwaway = False

    def __init__(self, plan: ServicePlan, folder: Path, cache: Path) -> None:
        self.plan, self.folder, self.cache = plan, folder / plan.name, cache
        self.settled: Settled = settle(plan, None, ports={}, others=[], taken=native.port_taken, rand=SystemRand())
        self.log = folder / f"{plan.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.steps: list[str] = []

    async def prepare(self, **changes: Any) -> requests.Prepared:
        assert self.settled.port is not None
        request = requests.PrepareRequest(
            plan=self.plan, port=self.settled.port, password=self.settled.password,
            folder=str(self.folder), cache=str(self.cache), **changes,
        )  # fmt: skip
        if self.throwaway:
            self.prepared = await run_step(
                requests.PREPARE, request, requests.Prepared, timeout=requests.PREPARE_TIMEOUT, say=self.steps.append
            )
        else:
            self.prepared = prepare.prepare(request, self.steps.append)
        return self.prepared

    async def start(self) -> None:
        process = self.spawn()
        async with asyncio.timeout(READY_WITHIN):
            while not self.is_ready():
                assert process.poll() is None, self.log.read_text()
                await asyncio.sleep(0.005)

    def spawn(self) -> "subprocess.Popen[bytes]":
        spec = self.prepared.process
        assert spec.command is not None
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                spec.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=spec.cwd,
                start_new_session=True, **as_user(spec.user),
            )  # fmt: skip
        return self.process

    def kill(self) -> None:
        """kill -9, and gone."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def is_ready(self) -> bool:
        kind, _, rest = (self.prepared.process.health.probe or "").partition(":")
        if kind == "exec":
            return subprocess.run(shlex.split(rest), check=False).returncode == 0
        assert kind == "tcp"
        return native.port_taken(int(rest))

    def stop(self, number: int | None = None) -> int:
        """Its exit code."""
        assert self.process is not None
        self.process.send_signal(number or getattr(signal, self.prepared.process.stop_signal))
        return self.process.wait(timeout=20)

    async def with_apps(self, *systems: System, cwd: str = "/") -> "Server":
        """The same server, used by these apps too."""
        plan = native_plan(*systems, cwd=cwd, port=self.settled.port)
        self.plan = msgspec.structs.replace(self.plan, clients=plan.clients)
        self.settled = settle(self.plan, self.settled, ports={}, others=[], taken=lambda _: False, rand=SystemRand())
        await self.provision()
        return self

    def url(self, name: str) -> str:
        return next(iter(app_env([(self.plan, self.settled)], name).values()))

    @property
    def admin_url(self) -> str:
        return server_url(self.plan, self.settled)

    async def provision(self) -> requests.Provisioned:
        request = requests.ProvisionRequest(plan=self.plan, settled=self.settled)
        if self.throwaway:
            return await run_step(requests.PROVISION, request, requests.Provisioned, timeout=requests.PROVISION_TIMEOUT)
        return await provision.provision(request, lambda _: None)

    async def up(self) -> "Server":
        await self.prepare()
        await self.start()
        await self.provision()
        return self


def as_user(name: str | None) -> dict[str, Any]:
    if name is None:
        return {}
    entry = pwd.getpwnam(name)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


async def query(url: str, statement: str, *args: Any) -> Any:
    db = await asyncpg.connect(url)
    try:
        return await db.fetchval(statement, *args)
    finally:
        await db.close()


def open_folder() -> Path:
    path = Path(tempfile.mkdtemp(prefix="omnitron-test-", dir="/var/lib" if os.geteuid() == 0 else None))
    path.chmod(0o755)
    return path


def native_plan(*systems: System, preset: str = "postgres", cwd: str = "/", **config: Any) -> ServicePlan:
    """The plan of a preset on a free port."""
    config.setdefault("port", free_port())
    services = {preset: InfraService(preset=preset, config=config)}  # type: ignore[arg-type]
    plans = plan_infra(ecosystem_of(*systems, services=services), "dev", facts(*systems, cwd=cwd))
    return next(plan for plan in plans if plan.name == preset)


POSTGRES_MAJORS = sorted({found.major for found in native.find_postgres()})
