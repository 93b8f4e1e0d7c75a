"""Several things to restart: definitions that change during a rollout, siblings that restart together."""

import os
import signal
from pathlib import Path
from typing import Protocol

from keeper_world import World, pids, replicas, sh, worker

from omnitron import rpc, service
from omnitron.control.keeper import ProcessSpec
from omnitron.model.health import Health
from omnitron.model.restart import Backoff, Restart

SLOW = """
import time
from omnitron import rpc, service

time.sleep({wait})
GENERATION = {n}


@service("worker@1.0.0")
class Worker:
    @rpc
    async def generation(self) -> int:
        return GENERATION
"""


@service("worker@1.0.0")
class Generations(Protocol):
    """What a caller knows of the worker above."""

    @rpc
    async def generation(self) -> int: ...


def code(folder: Path, n: int, wait: float = 0.0) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "slow.py").write_text(SLOW.format(wait=wait, n=n))
    return folder


async def test_a_second_change_during_a_rollout_is_rolled_after_it(world: World) -> None:
    folder = code(world.home.root / "code", 1)
    first = worker("w", module="slow", cwd=str(folder))
    await world.api.apply(world.spec(first))
    before = await world.ready()
    code(folder, 2, wait=0.3)
    await world.api.apply(world.spec(worker("w", module="slow", cwd=str(folder), fingerprint="2")))
    await world.event("rollout.begun")
    for fingerprint in "3", "4":
        await world.api.apply(world.spec(worker("w", module="slow", cwd=str(folder), fingerprint=fingerprint)))
    status = await world.until(lambda s: s.processes[0].fingerprint == "4" and s.state == "ready")
    assert pids(status, "w") != pids(before, "w") and len(replicas(status, "w")) == 1
    kinds = [event.kind for event in await world.events()]
    assert kinds.count("rollout.done") == 2 and "rollout.failed" not in kinds


async def test_a_change_taken_back_during_its_rollout_is_rolled_back(world: World) -> None:
    folder = code(world.home.root / "code", 1, wait=0.3)
    old, new = (worker("w", module="slow", cwd=str(folder), fingerprint=f) for f in ("1", "2"))
    await world.api.apply(world.spec(old))
    await world.ready()
    await world.api.apply(world.spec(new))
    await world.event("rollout.begun")
    await world.api.apply(world.spec(old))
    await world.event("rollout.done")
    status = await world.until(lambda s: s.processes[0].fingerprint == "1" and s.state == "ready")
    assert replicas(status, "w")[0].incarnation == 3


async def test_a_scale_in_the_middle_of_a_rollout_delays_it_only(world: World) -> None:
    folder = code(world.home.root / "code", 1, wait=0.2)
    await world.api.apply(world.spec(worker("w", module="slow", cwd=str(folder), instances=2)))
    await world.ready()
    await world.api.apply(world.spec(worker("w", module="slow", cwd=str(folder), instances=2, fingerprint="2")))
    await world.event("rollout.begun")
    await world.api.scale("w", 3)
    status = await world.until(lambda s: s.processes[0].fingerprint == "2" and s.state == "ready")
    assert len(replicas(status, "w")) == 3 and not status.processes[0].refused


async def test_after_a_failed_reload_the_rest_of_the_rollout_is_held_back(world: World) -> None:
    folder = code(world.home.root / "code", 1)
    rest = sh("z", "exec sleep 1000")
    await world.api.apply(world.spec(worker("w", module="slow", cwd=str(folder)), rest))
    before = await world.ready()
    (folder / "slow.py").write_text("raise RuntimeError('broken')")
    broken = worker("w", module="slow", cwd=str(folder), fingerprint="2")
    await world.api.apply(world.spec(broken, sh("z", "exec sleep 1000", fingerprint="2", after=("w",))))
    status = await world.until(lambda s: all(p.refused == "2" for p in s.processes))
    assert pids(status, "w") == pids(before, "w") and pids(status, "z") == pids(before, "z")
    assert "the reload of w failed" in status.processes[1].reload


async def test_one_for_all_stops_the_siblings_in_reverse_order_before_it_starts_them_in_order(world: World) -> None:
    order = world.home.root / "order"

    def member(name: str, *after: str) -> ProcessSpec:
        script = (
            f"trap 'sleep 0.1; echo -{name} >> {order}; exit' TERM; echo +{name} >> {order}; touch {order}.{name}; "
        )
        probe = Health(probe=f"exec:test -e {order}.{name}")
        return sh(
            name, f"rm -f {order}.{name}; {script} while :; do sleep 0.01; done", after=after, depends_on=after,
            health=probe,
        )  # fmt: skip

    spec = world.spec(member("a"), member("b", "a"), member("c", "b"), strategy="one_for_all")
    await world.api.apply(spec)
    (pid,) = pids(await world.ready(), "b")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await world.until(lambda s: s.state == "ready" and len(order.read_text().split()) == 8)
    assert order.read_text().split() == ["+a", "+b", "+c", "-c", "-a", "+a", "+b", "+c"]
    await world.api.stop(None, None)


async def test_a_stop_is_not_held_up_by_a_restart_of_siblings(world: World) -> None:
    rules = Restart(backoff=Backoff(first=3600, base=3600, cap=3600))
    core, rest = sh("a", "exec sleep 1000", restart=rules), sh("b", "exec sleep 1000", after=("a",), depends_on=("a",))
    await world.api.apply(world.spec(core, rest, strategy="rest_for_one"))
    (pid,) = pids(await world.ready(), "a")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await world.until(lambda s: replicas(s, "b")[0].incarnation == 2)
    assert replicas(await world.api.status(), "b")[0].pid is None
    await world.api.stop("b", None)
    await world.api.restart("a", None)
    await world.api.start("b", None)
    await world.ready()


async def test_a_restart_runs_the_code_as_it_is_now_also_where_replicas_are_forked(world: World) -> None:
    folder = code(world.home.root / "code", 1)
    await world.api.apply(world.spec(worker("w", module="slow", cwd=str(folder), instances=2)))
    await world.ready()
    code(folder, 2)
    await world.api.restart("w", None)
    status = await world.ready()
    assert [replica.mode for replica in replicas(status, "w")] == ["template"] * 2
    assert await (await world.call("w", 0, Generations)).generation() == 2
