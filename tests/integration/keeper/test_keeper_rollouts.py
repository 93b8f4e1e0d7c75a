"""Definitions that change while a rollout is under way: the latest wins, and none is forgotten."""

from pathlib import Path

from keeper_world import World, pids, replicas, sh, worker

SLOW = 'import time\nfrom omnitron import rpc, service\ntime.sleep({wait})\nGENERATION = {n}\n\n\n@service("worker@1.0.0")\n\
class Worker:\n    @rpc\n    async def generation(self) -> int:\n        return GENERATION\n'


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
