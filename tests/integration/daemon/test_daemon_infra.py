"""Infrastructure below apps: there before them, found again after a crash, stopped only when asked for."""

import shutil
from collections.abc import AsyncIterator

import pytest
from daemon_home import Household, app, sleeper

from omnitron.control.daemon import InfraStatus
from omnitron.model.needs import Needs


@pytest.fixture
async def house(own: Household) -> AsyncIterator[Household]:
    yield own
    await own.daemon.shutdown(True)
    shutil.rmtree(own.home.data_dir("dev").parent, ignore_errors=True)


async def redis_of(house: Household) -> InfraStatus:
    (stack,) = (await house.daemon.status(None)).stacks
    return stack.infrastructure[0]


async def test_a_server_is_started_before_its_app_and_outlives_daemon_and_app(house: Household) -> None:
    market = app("market", sleeper("web"), needs=Needs(redis=True))
    steps = await house.up(market)
    assert not steps[-1].failed, steps
    ready = [s.subject for s in steps if s.state == "ready"]
    assert ready.index("infra/redis") < ready.index("market/web")
    first = await redis_of(house)
    assert first.state == "ready" and first.used_by == ("market",) and first.version
    url = (await house.daemon.env(None, "market/web"))["REDIS_URL"]
    assert f":{first.port}/" in url

    await house.kill_daemon()
    await house.connect()
    again = await house.up(market)
    assert again[0].detail == "nothing to do" and not again[-1].failed
    assert (await redis_of(house)).pid == first.pid
    await house.collect(house.daemon.down(None, None, False))
    assert (await redis_of(house)).pid == first.pid

    await house.collect(house.daemon.down(None, None, True))
    assert (await redis_of(house)).state == "stopped"
    steps = await house.up(market)
    assert not steps[-1].failed, steps
    assert (await house.daemon.env(None, "market/web"))["REDIS_URL"] == url
    assert (await redis_of(house)).pid not in (None, first.pid)
