"""kill -9 of the keeper: everything runs on, and a new keeper takes over what lives, exactly once."""

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest
from keeper_world import World, alive, pids, replicas, sh, worker

from omnitron.base.errors import OperationError
from omnitron.control.keeper import ProcessSpec
from omnitron.model.process import Process
from omnitron.model.transports import Http, Transports


def all_running(world: World, process: str) -> set[int]:
    """Leaders that print to a pipe of that process, whoever's child they are."""
    found = set()
    for pid in (int(name) for name in os.listdir("/proc") if name.isdecimal()):
        try:
            if os.readlink(f"/proc/{pid}/fd/1").startswith(f"{world.run}/o/{process}.") and os.getsid(pid) == pid:
                found.add(pid)
        except OSError:
            continue
    return found


async def test_a_new_keeper_adopts_what_lives_and_nothing_runs_twice(world: World) -> None:
    spec = world.spec(sh("p", "exec sleep 1000"), worker("w", instances=2))
    await world.api.apply(spec)
    before = await world.ready()
    world.kill_keeper()
    api = await world.call("w", 0)
    assert await api.pid() == pids(before, "w")[0]  # calls go on without a keeper
    await world.start_keeper()
    after = await world.ready()
    assert (pids(after, "p"), pids(after, "w")) == (pids(before, "p"), pids(before, "w"))
    await world.api.apply(spec)
    assert pids(await world.ready(), "w") == pids(before, "w")
    assert all_running(world, "w") >= {pid for pid in pids(before, "w") if pid is not None}
    assert all_running(world, "p") == set(pids(before, "p"))
    assert await api.pid() == pids(before, "w")[0]


async def test_output_printed_while_there_is_no_keeper_is_not_lost(world: World) -> None:
    go = world.home.root / "go"
    script = f"echo one; while ! [ -e {go} ]; do sleep 0.01; done; echo two; touch {go}.done; exec sleep 1000"
    await world.api.apply(world.spec(sh("p", script)))
    await world.until_logged("p", "one")
    world.kill_keeper()
    go.touch()
    await world.until_exists(go.with_name("go.done"))
    await world.start_keeper()
    await world.until_logged("p", "two")
    assert world.logged("p") == ["one", "two"]


async def test_the_end_of_an_adopted_process_is_noticed_and_it_is_restarted(world: World) -> None:
    await world.api.apply(world.spec(sh("p", "exec sleep 1000"), worker("w")))
    before = await world.ready()
    world.kill_keeper()
    await world.start_keeper()
    await world.ready()
    for process in ("p", "w"):
        (pid,) = pids(before, process)
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await world.until(lambda s, p=process, old=pid: s.state == "ready" and pids(s, p) != [old])  # type: ignore[misc]
        assert not alive(pid)


async def test_what_died_while_there_was_no_keeper_is_restarted_and_its_children_are_swept(world: World) -> None:
    await world.api.apply(world.spec(sh("p", "sleep 1000 & exec sleep 1001")))
    (old,) = pids(await world.ready(), "p")
    assert old is not None
    await world.until(lambda s: len(group(old)) == 2)
    world.kill_keeper()
    left = [pid for pid in group(old) if pid != old]
    os.kill(old, signal.SIGKILL)
    await world.start_keeper()
    status = await world.until(lambda s: s.state == "ready" and pids(s, "p") != [old])
    assert replicas(status, "p")[0].incarnation == 2
    assert left and not any(alive(pid) for pid in left)


async def test_a_corrupt_state_file_is_an_error_event_and_still_no_second_copy(world: World) -> None:
    spec = world.spec(sh("p", "exec sleep 1000"), worker("w", instances=2))
    await world.api.apply(spec)
    before = await world.ready()
    world.kill_keeper()
    (world.run / "keeper.json").write_bytes(b"\x00garbage")
    await world.start_keeper()
    assert "keeper.json" in (await world.event("keeper.state_lost")).reason
    await world.api.apply(spec)
    after = await world.ready()
    assert (pids(after, "p"), pids(after, "w")) == (pids(before, "p"), pids(before, "w"))


async def test_a_stop_under_way_is_finished_by_the_next_keeper(world: World) -> None:
    await world.api.apply(world.spec(sh("p", "exec sleep 1000"), sh("q", "exec sleep 1000")))
    (pid,) = pids(await world.ready(), "p")
    await world.api.stop("p", None)
    world.kill_keeper()
    await world.start_keeper()
    status = await world.until(lambda s: bool(replicas(s, "q")) and replicas(s, "q")[0].ready)
    assert pid is not None and not alive(pid) and status.processes[0].state == "stopped"


@pytest.mark.parametrize("moment", ["successor", "draining"])
async def test_a_keeper_that_dies_in_a_reload_leaves_one_replica_in_each_slot(world: World, moment: str) -> None:
    await world.api.apply(world.spec(worker("w", instances=2)))
    await world.ready()
    reload = asyncio.create_task(world.api.reload("w"))
    kind, word = ("replica.starting", "successor") if moment == "successor" else ("replica.draining", "reload")
    async for event in world.api.events(0):
        if event.kind == kind and word in event.reason:
            break
    world.kill_keeper()
    await asyncio.gather(reload, return_exceptions=True)
    await world.start_keeper()
    status = await world.until(lambda s: s.state == "ready" and len(replicas(s, "w")) == 2)
    assert [replica.replica for replica in replicas(status, "w")] == ["a/w/0", "a/w/1"]
    served = {await (await world.call("w", slot)).pid() for slot in (0, 1)}
    assert served == set(pids(status, "w"))
    async with asyncio.timeout(10):
        while len(all_running(world, "w") - templates_of(world)) != 2:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_listening_socket_outlives_the_keeper_and_every_replica_after_it(world: World) -> None:
    port = free_port()
    process = ProcessSpec(
        process=Process(name="h", module="worker", transports=Transports(http=Http(port=port))),
        fingerprint="1", ports={"http": port},
    )  # fmt: skip
    await world.api.apply(world.spec(process))
    (old,) = pids(await world.ready(), "h")
    assert old is not None
    world.kill_keeper()
    with socket.create_connection(("127.0.0.1", port), 1):
        pass
    await world.start_keeper()
    await world.ready()
    os.kill(old, signal.SIGKILL)  # the socket's only other holder: the new keeper must have it by now
    with socket.create_connection(("127.0.0.1", port), 1):
        pass
    await world.until(lambda s: s.state == "ready" and pids(s, "h") != [old])


async def test_a_taken_port_refuses_the_apply_and_is_named(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = ProcessSpec(
            process=Process(name="h", module="worker", transports=Transports(http=Http(port=port))),
            ports={"http": port},
        )
        with pytest.raises(OperationError, match=f"Port {port} .*another process"):
            await world.api.apply(world.spec(process))
    assert (await world.api.status()).processes == ()


def templates_of(world: World) -> set[int]:
    return {pid for pid in all_running(world, "w") if ".template." in os.readlink(f"/proc/{pid}/fd/1")}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def group(leader: int) -> list[int]:
    found = []
    for pid in (int(name) for name in os.listdir("/proc") if name.isdecimal()):
        try:
            if os.getpgid(pid) == leader and alive(pid):
                found.append(pid)
        except OSError:
            continue
    return found


async def test_what_a_replica_has_put_into_a_session_of_its_own_is_not_taken_for_it(world: World) -> None:
    await world.api.apply(world.spec(sh("p", "setsid sleep 1001 & exec sleep 1000")))
    before = pids(await world.ready(), "p")
    async with asyncio.timeout(10):
        while len(all_running(world, "p")) < 2:  # noqa: ASYNC110 - other processes make it true
            await asyncio.sleep(0.01)
    for damage in (False, True):
        world.kill_keeper()
        if damage:
            (world.run / "keeper.json").write_bytes(b"{")
        await world.start_keeper()
        await world.api.apply(world.spec(sh("p", "setsid sleep 1001 & exec sleep 1000")))
        assert pids(await world.ready(), "p") == before and len(all_running(world, "p")) == 2


async def test_a_replica_that_prints_elsewhere_is_found_without_the_keepers_file(world: World) -> None:
    spec = world.spec(sh("p", "exec sleep 1000 >/dev/null 2>&1 </dev/null"))
    await world.api.apply(spec)
    before = pids(await world.ready(), "p")
    async with asyncio.timeout(10):
        while all_running(world, "p"):  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.01)
    world.kill_keeper()
    (world.run / "keeper.json").unlink()
    await world.start_keeper()
    await world.api.apply(spec)
    assert pids(await world.ready(), "p") == before


async def test_strange_files_in_the_way_are_cleared_away(world: World) -> None:
    await world.api.apply(world.spec(worker("w")))
    before = pids(await world.ready(), "w")
    world.kill_keeper()
    (world.run / "i" / "stray").touch()
    (world.run / "o" / "w.x.y.out").mkdir()
    (world.run / "s" / "w.0").unlink()
    (world.run / "s" / "w.0").write_text("no symlink")
    (world.run / "s" / "nonsense").mkdir()
    await world.start_keeper()
    assert pids(await world.ready(), "w") == before
    assert [path.name for path in (world.run / "s").iterdir()] == ["w.0"]
    api = await world.call("w", 0)
    assert await api.pid() == before[0]


async def test_a_template_that_still_imports_when_its_keeper_dies_does_not_stay(world: World, tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(1000)\n")
    await world.api.apply(world.spec(worker("w", module="endless", instances=2, cwd=str(tmp_path))))
    await world.until_logged("w", "importing")
    (template,) = all_running(world, "w")
    world.kill_keeper()
    await world.start_keeper()
    async with asyncio.timeout(10):
        while alive(template):  # noqa: ASYNC110 - another process makes it true
            await asyncio.sleep(0.01)
