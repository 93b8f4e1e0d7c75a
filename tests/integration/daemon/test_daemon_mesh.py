"""Apps that call each other: real services in real replicas, found by way of the daemon's directory."""

import asyncio
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from daemon_home import Household

from omnitron import rpc, service
from omnitron.base.errors import WorkerDied
from omnitron.model.facts import Description
from omnitron.rpc.client import connect

PRICES = """
import os
import signal

from omnitron import rpc, service

@service("prices@1.0.0")
class Prices:
    @rpc
    async def of(self, symbol: str) -> int:
        return {version}

    @rpc
    async def die(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)
"""
LEDGER = """
from omnitron import Remote, rpc, service
from prices import Prices

@service("ledger@1.0.0")
class Ledger:
    def __init__(self, prices: Remote[Prices]) -> None:
        self.prices = prices

    @rpc(idempotent=True)
    async def worth(self, symbol: str) -> int:
        return 2 * await self.prices.of(symbol)

    @rpc
    async def kill_prices(self) -> None:
        await self.prices.die()

SERVICES = [Ledger]
"""
ECOSYSTEM = """
from omnitron import App, Process, Topology, define_ecosystem, define_system

ecosystem = define_ecosystem(name="bank", apps=[
    define_system(name="ledger", version="1.0.0", processes=[Process(name="book", module="ledger")]),
    define_system(name="market", version="1.0.0", processes=[
        Process(name="feed", module="prices", topology=Topology(expose=True)),
    ]),
])
"""


@service("ledger@1.0.0")
class Ledger:
    @rpc(idempotent=True)
    async def worth(self, symbol: str) -> int:
        raise NotImplementedError

    @rpc
    async def kill_prices(self) -> None:
        raise NotImplementedError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "prices.py").write_text(PRICES.format(version=21))
    (tmp_path / "ledger.py").write_text(LEDGER)
    (tmp_path / "ecosystem.py").write_text(ECOSYSTEM)
    return tmp_path


async def describe(project: Path) -> Description:
    command = [sys.executable, "-m", "omnitron.child.describe", str(project / "ecosystem.py")]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return msgspec.json.decode(done.stdout, type=Description)


async def worth(house: Household) -> int:
    path = house.home.run_dir(house.stack, "ledger") / "s" / "book.0"
    ledger, link = await connect(str(path), Ledger)
    try:
        return await ledger.worth("BTC")
    finally:
        link.finish()


async def test_an_app_calls_another_over_reloads_and_over_the_daemons_death(own: Household, project: Path) -> None:
    house = own
    steps = await house.collect(house.daemon.up(await describe(project), None))
    assert not steps[-1].failed, steps
    order = [s.subject for s in steps if s.state == "ready"]
    assert order == ["market/feed", "ledger/book"]  # who is called starts first
    assert await worth(house) == 42
    assert [(e.app, e.class_name) for e in await house.daemon.endpoints(None)] == [("market", "Prices")]

    (project / "prices.py").write_text(PRICES.format(version=50))
    steps = await house.collect(house.daemon.reload(None, "market", await describe(project)))
    assert not steps[-1].failed, steps
    assert await worth(house) == 100

    await house.kill_daemon()
    assert await worth(house) == 100
    await house.connect()
    assert await worth(house) == 100
    await house.collect(house.daemon.restart(None, "ledger/book"))
    assert await worth(house) == 100


async def test_a_caller_in_another_app_is_told_the_signal_that_killed_its_worker(own: Household, project: Path) -> None:
    await own.collect(own.daemon.up(await describe(project), None))
    ledger, link = await connect(str(own.home.run_dir(own.stack, "ledger") / "s" / "book.0"), Ledger)
    with pytest.raises(WorkerDied, match="SIGKILL"):
        await ledger.kill_prices()
    link.finish()
