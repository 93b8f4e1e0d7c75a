"""Our own replicas under a real keeper: ready, called, forked, reloaded, scaled, found blocked."""

import asyncio
import os
import re
import resource
import signal
from pathlib import Path

import pytest
from keeper_apps.keeper_caller import Caller
from keeper_apps.worker import Worker
from keeper_world import World, alive, pids, replicas, worker

from omnitron.base.errors import OmnitronError, Refused
from omnitron.model.health import Health
from omnitron.model.restart import Backoff, Restart
from omnitron.model.scaling import Limits, Recycle
from omnitron.rpc.client import RpcClient
from omnitron.rpc.endpoints import Directory, Endpoint, ServiceRecord


async def follow_directory(world: World, directory: Directory) -> None:
    async for services in world.api.endpoints():
        directory.update(
            ServiceRecord(
                s.app, s.service.partition("@")[0], s.service.partition("@")[2], s.class_name,
                tuple(Endpoint(e.replica, e.path, e.incarnation, e.concurrency) for e in s.endpoints),
            )
            for s in services
        )  # fmt: skip


async def test_a_replica_that_is_ready_can_be_called_at_its_published_address(world: World) -> None:
    await world.api.apply(world.spec(worker("w")))
    (pid,) = pids(await world.ready(), "w")
    api = await world.call("w", 0)
    assert await api.pid() == pid


async def test_replicas_of_a_pool_are_forked_from_a_template_and_share_its_memory(world: World) -> None:
    await world.api.apply(world.spec(worker("w", instances=3)))
    status = await world.ready()
    assert [replica.mode for replica in replicas(status, "w")] == ["template"] * 3
    for replica in replicas(status, "w"):
        assert replica.pid is not None and private_mib(replica.pid) < 20
        assert parent(replica.pid) == status.keeper_pid
        assert os.getsid(replica.pid) == replica.pid


async def test_a_forked_replica_has_its_limits(world: World) -> None:
    await world.api.apply(world.spec(worker("w", instances=2, limits=Limits(open_files=321))))
    (pid, _) = pids(await world.ready(), "w")
    assert pid is not None and open_files_limit(pid) == 321


async def test_a_killed_replica_is_forked_anew_and_its_siblings_serve_on(world: World) -> None:
    await world.api.apply(world.spec(worker("w", instances=2)))
    before = pids(await world.ready(), "w")
    assert before[0] is not None
    os.kill(before[0], signal.SIGKILL)
    status = await world.until(lambda s: s.state == "ready" and pids(s, "w") != before)
    assert pids(status, "w")[1] == before[1] and replicas(status, "w")[0].mode == "template"
    assert await (await world.call("w", 0)).pid() == pids(status, "w")[0]


async def test_a_template_that_dies_takes_no_replica_with_it_and_is_replaced(world: World) -> None:
    await world.api.apply(world.spec(worker("w", instances=2)))
    status = await world.ready()
    before = pids(status, "w")
    (template,) = templates(status.keeper_pid)
    os.kill(template, signal.SIGKILL)
    async with asyncio.timeout(10):
        while not (now := templates(status.keeper_pid)) or now == [template]:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert pids(await world.ready(), "w") == before


async def test_a_module_with_threads_is_spawned_and_the_status_says_why(world: World) -> None:
    await world.api.apply(world.spec(worker("w", module="keeper_threads", instances=2)))
    status = await world.ready()
    assert [replica.mode for replica in replicas(status, "w")] == ["spawn"] * 2
    assert "threads" in replicas(status, "w")[0].detail


async def test_a_blocked_event_loop_is_found_and_its_stack_is_in_the_log(world: World) -> None:
    health = Health(interval=0.1, timeout=0.2, failures=2)
    await world.api.apply(world.spec(worker("w", health=health)))
    (old,) = pids(await world.ready(), "w")
    api = await world.call("w", 0)
    with pytest.raises(OmnitronError):
        await api.block(30.0)
    status = await world.until(lambda s: s.state == "ready" and pids(s, "w") != [old])
    assert replicas(status, "w")[0].restarts_total == 1
    assert "event loop is blocked" in (await world.event("replica.killing")).reason
    await world.until(lambda s: any("in block" in line for line in world.logged("w")))


async def test_a_reload_under_load_loses_no_call(world: World) -> None:
    await world.api.apply(world.spec(worker("w", instances=2)))
    before = pids(await world.ready(), "w")
    directory = Directory("a")
    following = asyncio.create_task(follow_directory(world, directory))
    client = RpcClient(directory)
    await world.until(lambda s: bool(directory.records))
    proxy, answered, stop = client.proxy(Worker), set(), False

    async def call() -> None:
        while not stop:
            answered.add(await proxy.slow_pid(0.005))

    callers = [asyncio.create_task(call()) for _ in range(8)]
    for _ in range(3):
        await world.api.reload("w")
    stop = True
    await asyncio.gather(*callers)
    after = pids(await world.ready(), "w")
    assert not set(after) & set(before) and set(after) & answered
    assert not any(alive(pid) for pid in before if pid is not None)
    following.cancel()
    await client.close()


async def test_crashes_and_reloads_leave_no_descriptor_and_no_file_behind(world: World) -> None:
    await world.api.apply(world.spec(worker("w", instances=2, restart=Restart(intensity=100, backoff=Backoff(base=0)))))
    status = await world.ready()

    async def held() -> tuple[int, int, int]:
        await world.ready()
        files = [path for path in world.run.rglob("*") if path.name != "keeper.json" and path.suffix != ".steps"]
        keeper = status.keeper_pid
        return len(files), len(os.listdir(f"/proc/{keeper}/fd")), len(templates(keeper))

    before = await held()
    for _ in range(4):
        await world.api.reload("w")
        victim = pids(await world.ready(), "w")[0]
        assert victim is not None
        os.kill(victim, signal.SIGKILL)
        await world.until(lambda s, old=victim: s.state == "ready" and old not in pids(s, "w"))  # type: ignore[misc]
    await world.until(lambda s: not [r for r in replicas(s, "w") if r.phase != "running"])
    assert await held() == before


async def test_a_reload_to_code_that_does_not_start_is_refused_and_the_old_serves_on(world: World) -> None:
    code = world.home.root / "code"
    code.mkdir()
    source = (Path(__file__).parent / "keeper_apps" / "worker.py").read_text()
    (code / "changing.py").write_text(source)
    await world.api.apply(world.spec(worker("w", module="changing", instances=2, cwd=str(code))))
    before = pids(await world.ready(), "w")
    (code / "changing.py").write_text(source + "\nraise RuntimeError('broken at import')\n")
    with pytest.raises(Refused, match="old code serves on"):
        await world.api.reload("w")
    assert pids(await world.ready(), "w") == before
    assert await (await world.call("w", 1)).pid() == before[1]
    (code / "changing.py").write_text(source + "\n# mended\n")
    await world.api.reload("w")
    assert not set(pids(await world.ready(), "w")) & set(before)


async def test_apply_rolls_what_has_another_fingerprint_and_nothing_else(world: World) -> None:
    await world.api.apply(world.spec(worker("v"), worker("w")))
    before = await world.ready()
    await world.api.apply(world.spec(worker("v"), worker("w", fingerprint="2")))
    after = await world.until(lambda s: s.state == "ready" and not set(pids(s, "w")) & set(pids(before, "w")))
    assert pids(after, "v") == pids(before, "v")


async def test_a_replica_that_is_old_enough_is_replaced_by_a_successor_that_is_ready_first(world: World) -> None:
    await world.api.apply(world.spec(worker("w", recycle=Recycle(age=0.1))))
    (old,) = pids(await world.ready(), "w")
    assert "limit" in (await world.event("replica.recycle")).reason
    status = await world.until(lambda s: [r.phase for r in replicas(s, "w")] == ["running"] and pids(s, "w") != [old])
    assert replicas(status, "w")[0].restarts_total == 0


async def test_a_singleton_is_never_two_not_even_in_a_reload(world: World) -> None:
    await world.api.apply(world.spec(worker("w", singleton=True)))
    await world.ready()
    most, done = 0, False

    async def count() -> None:
        nonlocal most
        while not done:
            most = max(most, len(list(world.run.joinpath("o").glob("w.*.out"))))
            await asyncio.sleep(0.001)

    counting = asyncio.create_task(count())
    await world.api.reload("w")
    await world.api.restart("w", None)
    done = True
    await counting
    assert most == 1
    with pytest.raises(Refused, match="singleton"):
        await world.api.scale("w", 2)


async def test_a_caller_knows_the_services_it_calls_and_that_one_died(world: World) -> None:
    caller = worker("caller", module="keeper_caller", services=(("caller@1.0.0", "Caller"),), calls=("Worker",))
    await world.api.apply(world.spec(worker("w"), caller))
    status = await world.ready()
    api = await world.call("caller", 0, Caller)
    assert await api.worker_pid() == pids(status, "w")[0]
    assert "SIGKILL" in await api.crash_it()


async def test_scaling_up_and_down_changes_the_endpoints(world: World) -> None:
    await world.api.apply(world.spec(worker("w")))
    await world.ready()
    await world.api.scale("w", 3)
    await world.until(lambda s: s.state == "ready" and len(replicas(s, "w")) == 3)
    assert await endpoint_count(world, 3) == 3
    await world.api.scale("w", 1)
    await world.until(lambda s: len(replicas(s, "w")) == 1)
    assert await endpoint_count(world, 1) == 1


async def endpoint_count(world: World, wanted: int) -> int:
    async with asyncio.timeout(10):
        async for services in world.api.endpoints():
            if len(services[0].endpoints) == wanted:
                return wanted
    return -1


def open_files_limit(pid: int) -> int:
    return resource.prlimit(pid, resource.RLIMIT_NOFILE)[0]


def private_mib(pid: int) -> float:
    """Memory the process shares with nobody."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(kib) for kib in re.findall(r"Private_\w+:\s+(\d+)", text)) / 1024


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def templates(keeper: int) -> list[int]:
    """Template processes of a keeper: they print to pipes of their own."""
    children = [int(child) for child in Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()]
    return [child for child in children if ".template." in os.readlink(f"/proc/{child}/fd/1")]
