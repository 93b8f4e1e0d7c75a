import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import asyncpg
import pytest
from infra_servers import POSTGRES_MAJORS, READY_WITHIN, Server, app, native_plan, query

from omnitron.base.home import Home
from omnitron.control.keeper import KeeperApi
from omnitron.infra.app import infra_app
from omnitron.infra.drivers import native
from omnitron.infra.plan import INFRA_APP, ServicePlan
from omnitron.rpc.client import connect

pytestmark = pytest.mark.skipif(not (POSTGRES_MAJORS and native.find_redis()), reason="no servers on this machine")


@pytest.fixture
async def keeper(place: Path) -> AsyncIterator[KeeperApi]:
    """Of the pseudo-app "infra"; it ends what it started."""
    home = Home(place / "home")
    command = [sys.executable, "-m", "omnitron.supervise.keeper", "--home", str(home.root), "--stack", "dev"]
    with subprocess.Popen([*command, "--app", INFRA_APP], start_new_session=True) as process:  # noqa: ASYNC220
        try:
            async with asyncio.timeout(READY_WITHIN):
                while not home.keeper_socket("dev", INFRA_APP).exists():  # noqa: ASYNC110 - another process makes it
                    await asyncio.sleep(0.01)
            api, link = await connect(str(home.keeper_socket("dev", INFRA_APP)), KeeperApi)  # type: ignore[type-abstract]
            yield api
            await api.shutdown(True)
            process.wait(READY_WITHIN)
            link.finish()
        finally:
            process.kill()


async def ready(keeper: KeeperApi, gone: int | None = None) -> dict[str, int]:
    """Process ids by service, once all are ready and `gone` is none of them."""
    async with asyncio.timeout(READY_WITHIN):
        while True:
            status = await keeper.status()
            pids = {p.name: r.pid or 0 for p in status.processes for r in p.replicas if r.ready}
            if len(pids) == 2 and gone not in pids.values():
                return pids
            await asyncio.sleep(0.01)


async def test_a_keeper_runs_them_like_any_process(
    keeper: KeeperApi, servers: Callable[[ServicePlan], Server], place: Path
) -> None:
    postgres = servers(native_plan(app("ledger", database=True)))
    redis = servers(native_plan(app("ledger", redis=True), preset="redis"))
    prepared = [await postgres.prepare(), await redis.prepare()]
    await keeper.apply(infra_app("dev", prepared, log_dir=str(place / "logs"), cwd=str(place)))
    pids = await ready(keeper)
    for server in (postgres, redis):
        await server.provision()
    url = postgres.url("ledger")
    await query(url, "CREATE TABLE entry (id int)")
    lingering = await asyncpg.connect(url)

    os.kill(pids["postgres"], signal.SIGKILL)
    again = await ready(keeper, gone=pids["postgres"])
    assert again["redis"] == pids["redis"]
    assert await query(url, "SELECT count(*) FROM entry") == 0
    lingering.terminate()

    lingering = await asyncpg.connect(url)
    async with asyncio.timeout(READY_WITHIN):  # far less than the stop timeout: it waits for no client
        await keeper.stop("postgres", None)
    assert not native.is_running(postgres.folder / "data" / "postmaster.pid", postgres.folder / "data")
    lingering.terminate()
    assert "database system was shut down" in (await _restarted(keeper, place))


async def _restarted(keeper: KeeperApi, place: Path) -> str:
    """What Postgres logs when it is started again."""
    await keeper.start("postgres", None)
    await ready(keeper)
    return await asyncio.to_thread((place / "logs" / "postgres.jsonl").read_text)
