"""A replica's life with real processes: the order of its hooks, the lease, readiness, calls to others, its end."""

import asyncio
import json
from pathlib import Path
from typing import Any

from child_keeping import Keep, Replica

from omnitron.control.keeper import EndpointInfo, ServiceEndpoints
from omnitron.declare.rpc import rpc
from omnitron.declare.service import service
from omnitron.model.health import Health
from omnitron.model.hooks import Hooks
from omnitron.model.process import Process

LIFE = """
from collections.abc import AsyncIterator, Iterator
from omnitron import service, rpc, provide, on_start, on_stop, warmup
import asyncio

class Database: ...

@provide()
async def database() -> AsyncIterator[Database]:
    print("provide")
    yield Database()
    print("end of provider")

def created(worker: "Worker") -> None:
    print("after_create", type(worker).__name__)

async def before_stop(db: Database) -> None:
    print("before_stop")

async def prime() -> None:
    print("prime")

@service("worker@1.0.0")
class Worker:
    def __init__(self, db: Database) -> None:
        print("init")
    @on_start
    async def begin(self) -> None:
        print("start")
    @warmup
    def warm(self) -> None:
        print("warm")
    @on_stop
    async def end(self) -> None:
        print("stop")
    @rpc
    async def slow(self, seconds: float) -> str:
        await asyncio.sleep(seconds)
        print("finished")
        return "done"
"""


@service("worker@1.0.0")
class Worker:
    @rpc
    async def slow(self, seconds: float) -> str:
        raise NotImplementedError


async def test_hooks_run_in_order_and_a_call_in_flight_is_finished(keep: Keep) -> None:
    hooks = Hooks(after_create="app:created", before_stop="app:before_stop")
    replica = keep(LIFE, Process(name="worker", module="app", hooks=hooks, warmup=("app:prime",)))
    await replica.until("ready")
    slow = asyncio.create_task(replica.service(Worker).slow(0.5))
    api = await replica.connect()
    while (await api.ping()).in_flight == 0:
        pass
    assert await api.drain(10.0) == 0
    assert await slow == "done"
    assert await replica.exit_code() == 0
    assert replica.output().split("\n")[:-1] == [
        "provide", "init", "after_create Worker", "start", "prime", "warm",
        "finished", "before_stop", "stop", "end of provider",
    ]  # fmt: skip


async def test_a_drain_cuts_off_what_does_not_finish_and_says_how_many(keep: Keep) -> None:
    replica = keep(LIFE)
    await replica.until("ready")
    slow = asyncio.create_task(replica.service(Worker).slow(60))
    api = await replica.connect()
    while (await api.ping()).in_flight == 0:
        pass
    assert await api.drain(0.5) == 1
    assert isinstance((await asyncio.gather(slow, return_exceptions=True))[0], Exception)
    assert await replica.exit_code() == 0


SINGLETON = """
import os
print("import", os.environ["OMNITRON_FENCING_TOKEN"].lstrip("0"), os.environ["OMNITRON_INSTANCE_ID"])
"""


async def test_a_lease_has_one_holder_and_each_a_higher_token(keep: Keep, tmp_path: Path) -> None:
    lease = str(tmp_path / "worker.lease")
    first = keep(SINGLETON, lease_path=lease)
    await first.until("ready")
    second = keep(SINGLETON, lease_path=lease)
    report = await second.until("waiting")
    assert "lease" in report.detail
    first.popen.kill()
    await second.until("ready")
    assert first.output() == "import 1 market/worker/0\n"
    second.terminate()
    await second.exit_code()
    assert second.output() == "import 2 market/worker/0\n"


async def test_a_replica_told_to_stop_while_it_waits_for_the_lease_ends(keep: Keep, tmp_path: Path) -> None:
    lease = str(tmp_path / "worker.lease")
    await keep(SINGLETON, lease_path=lease).until("ready")
    second = keep(SINGLETON, lease_path=lease)
    await second.until("waiting")
    api = await second.connect()
    assert await api.drain(5.0) == 0
    assert await second.exit_code() == 0


async def test_readiness_takes_a_replica_out_and_back(keep: Keep, tmp_path: Path) -> None:
    code = "import os\ndef ready() -> bool:\n    return not os.path.exists('broken')\n"
    health = Health(readiness="app:ready", interval=0.05)
    (tmp_path / "broken").touch()
    replica = keep(code, Process(name="worker", module="app", health=health))
    report = await replica.until("not_ready", "ready")
    assert (report.phase, report.detail) == ("not_ready", "readiness answered no")
    (tmp_path / "broken").unlink()
    await replica.until("ready")
    assert (await (await replica.connect()).ping()).ready
    (tmp_path / "broken").touch()
    await replica.until("not_ready")


CALLER = """
from omnitron import service, rpc, Remote, WorkerDied
from callee import Callee

@service("caller@1.0.0")
class Caller:
    def __init__(self, callee: Remote[Callee]) -> None:
        self.callee = callee
    @rpc
    async def ask(self) -> str:
        try:
            return str(await self.callee.die())
        except WorkerDied as error:
            return str(error.details)
"""
CALLEE = """
import os, time
from omnitron import service, rpc

@service("callee@1.0.0")
class Callee:
    @rpc
    async def die(self) -> int:
        os.kill(os.getpid(), 9)
        return 1
"""


@service("caller@1.0.0")
class Caller:
    @rpc
    async def ask(self) -> str:
        raise NotImplementedError


def endpoints(replica: Replica) -> list[ServiceEndpoints]:
    info = EndpointInfo("market/callee/0", replica.path, 1, 64)
    return [ServiceEndpoints("market", "callee@1.0.0", "Callee", (info,))]


async def test_a_caller_learns_what_its_worker_died_of(keep: Keep, tmp_path: Path) -> None:
    (tmp_path / "callee.py").write_text(CALLEE)
    callee = keep("", Process(name="callee", module="callee"))
    caller = keep(CALLER)
    await callee.until("ready")
    await caller.until("ready")
    api = await caller.connect()
    await api.directory(endpoints(callee))
    asked: asyncio.Task[Any] = asyncio.create_task(caller.service(Caller).ask())
    await callee.exit_code()
    await api.gone("market/callee/0", 1, "killed by SIGKILL")
    assert "SIGKILL" in await asked


async def test_output_is_plain_for_prints_and_json_for_logs(keep: Keep) -> None:
    replica = keep("import logging\nprint('plain')\nlogging.getLogger('mine').warning('hot', extra={'degrees': 40})\n")
    await replica.until("ready")
    replica.popen.kill()
    assert replica.output() == "plain\n"
    (line,) = [line for line in replica.log() if line["logger"] == "mine"]
    assert (line["level"], line["msg"], line["degrees"]) == ("warning", "hot", 40)
    assert json.dumps(line)


async def test_an_error_in_a_start_hook_fails_the_boot(keep: Keep) -> None:
    code = "from omnitron import on_start\n@on_start\nasync def begin() -> None:\n    raise ValueError('no database')\n"
    report = await keep(code).until("failed")
    assert report.detail == "ValueError: no database (app.py:4)"


async def test_scheduled_jobs_run_while_it_serves(keep: Keep, tmp_path: Path) -> None:
    code = """
from omnitron import interval, service

@service("worker@1.0.0")
class Worker:
    @interval("100ms")
    async def tick(self) -> None:
        with open("ticks", "a") as file:
            file.write("x")
"""
    replica = keep(code)
    await replica.until("ready")
    ticks = tmp_path / "ticks"
    for _ in range(500):
        if ticks.exists() and len(ticks.read_text()) >= 3:
            break
        await asyncio.sleep(0.02)
    assert len(ticks.read_text()) >= 3
    replica.terminate()
    assert await replica.exit_code() == 0
