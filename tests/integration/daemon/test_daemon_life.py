"""One daemon per home, over crashes, damaged files and full disks."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys

import pytest
from daemon_home import Household, app, described, sleeper

from omnitron.base.errors import DaemonUnreachable, OperationError
from omnitron.base.home import Home
from omnitron.client import connect_daemon, ensure_daemon, start_daemon
from omnitron.supervise.processinfo import read_stat


async def test_a_second_daemon_is_refused_with_the_pid_of_the_first(own: Household) -> None:
    pid = (await own.daemon.ping()).pid
    command = [sys.executable, "-m", "omnitron.daemon", "--home", str(own.home.root)]
    second = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert second.returncode == 3
    assert f"pid {pid}" in second.stderr and "omnitron kill" in second.stderr
    assert (await own.daemon.ping()).pid == pid


async def test_many_who_start_it_at_once_reach_the_same_one(home: Home) -> None:
    found = await asyncio.gather(*(ensure_daemon(home) for _ in range(3)))
    pids = {(await daemon.ping()).pid for daemon, _ in found}
    for _, link in found:
        link.finish()
    assert len(pids) == 1


async def test_it_runs_in_a_session_of_its_own_and_says_who_it_is(own: Household) -> None:
    info = await own.daemon.ping()
    found = read_stat(info.pid)
    assert found is not None and found.session == info.pid != os.getsid(0)
    assert json.loads(own.home.daemon_info.read_text())["pid"] == info.pid
    assert stat.S_IMODE(own.home.daemon_socket.stat().st_mode) == 0o600


async def test_without_a_daemon_the_client_says_so(home: Home) -> None:
    with pytest.raises(DaemonUnreachable, match="No daemon answers"):
        await connect_daemon(home)


async def test_a_daemon_that_can_not_start_shows_the_end_of_its_log(home: Home) -> None:
    home.root.mkdir(exist_ok=True)
    home.store.mkdir()
    with pytest.raises(OperationError, match=r"(?s)exit code 1.*store\.db"):
        await start_daemon(home)


async def test_sigterm_ends_it_and_leaves_the_apps_running(own: Household) -> None:
    await own.up(app("market"))
    before = await own.pids()
    os.kill((await own.daemon.ping()).pid, signal.SIGTERM)
    await own._links[-1].closed
    assert all(read_stat(pid) for pid in before.values())
    await own.connect()
    assert await own.pids() == before


async def test_a_killed_daemon_finds_everything_again_and_starts_nothing_twice(own: Household) -> None:
    await own.up(app("market", sleeper("web", instances=2), sleeper("api")), app("ledger"))
    before, keepers = await own.pids(), {a.app: a.keeper_pid for a in (await own.apps()).values()}
    killed = await own.kill_daemon()
    await own.connect()
    assert (await own.daemon.ping()).pid != killed
    assert await own.pids() == before and len(before) == 4
    assert {a.app: a.keeper_pid for a in (await own.apps()).values()} == keepers
    again = await own.up(app("market", sleeper("web", instances=2), sleeper("api")), app("ledger"))
    assert again[0].detail == "nothing to do" and not again[-1].failed
    assert await own.pids() == before


async def test_a_killed_keeper_is_replaced_and_adopts_its_replicas(own: Household) -> None:
    await own.up(app("market", sleeper("web", instances=2)))
    before, keeper = await own.pids(), (await own.apps())["market"].keeper_pid
    os.kill(keeper, signal.SIGKILL)

    async def replaced() -> bool:
        return (await own.apps())["market"].keeper_pid not in (keeper, 0)

    await own.until(replaced)
    assert await own.pids() == before
    assert "keeper.lost" in await own.kinds("market")


async def test_keeper_and_daemon_killed_together_lose_nothing(own: Household) -> None:
    await own.up(app("market", sleeper("web", instances=2)))
    before, keeper = await own.pids(), (await own.apps())["market"].keeper_pid
    os.kill(keeper, signal.SIGKILL)
    await own.kill_daemon()
    await own.connect()

    async def back() -> bool:
        return await own.pids() == before

    await own.until(back)


async def test_a_damaged_store_is_said_aloud_and_rebuilt_from_what_runs(own: Household) -> None:
    await own.up(app("market", sleeper("web", instances=2)))
    before = await own.pids()
    await own.kill_daemon()
    for path in own.home.root.glob("store.db*"):  # its write-ahead log alone would mend it
        path.write_bytes(b"no database" * 1000)
    await own.connect()
    assert await own.pids() == before
    assert "store.rebuilt" in await own.kinds()
    assert list(own.home.root.glob("store.db.corrupt-*"))
    steps = await own.up(app("market", sleeper("web", instances=2)))
    assert not steps[-1].failed
    assert await own.pids() == before
    await own.collect(own.daemon.down(None, None, False))
    assert await own.pids() == {}


async def test_shutdown_with_apps_leaves_nothing(own: Household) -> None:
    await own.up(app("market"), app("ledger"))
    pids = [*(await own.pids()).values(), *(a.keeper_pid for a in (await own.apps()).values())]
    await own.daemon.shutdown(True)
    await own._links[-1].closed
    assert [pid for pid in pids if (found := read_stat(pid)) and not found.zombie] == []
    assert not own.home.daemon_socket.exists()


async def test_a_client_that_leaves_in_the_middle_does_not_stop_the_apply(own: Household) -> None:
    description = described(own.project / "system.py", app("market", sleeper("web", instances=3)))
    async for _ in own.daemon.up(description, None):
        break

    async def ready() -> bool:
        return (await own.apps())["market"].state == "ready"

    await own.until(ready)


async def test_a_store_that_was_deleted_is_rebuilt_too(own: Household) -> None:
    await own.up(app("market"))
    before = await own.pids()
    await own.kill_daemon()
    for path in own.home.root.glob("store.db*"):
        path.unlink()
    await own.connect()
    assert await own.pids() == before
