"""Other programs under a real keeper: start, crash, restart, give up, stop."""

import asyncio
import os
import signal
from pathlib import Path

import pytest
from keeper_world import World, alive, pids, replicas, sh

from omnitron.base.errors import NotFound
from omnitron.model.health import Health
from omnitron.model.restart import Backoff, Restart
from omnitron.model.scaling import Limits
from omnitron.model.shutdown import Shutdown


async def test_a_crashed_command_is_replaced_and_its_death_explained(world: World) -> None:
    await world.api.apply(world.spec(sh("p", "exec sleep 1000")))
    (old,) = pids(await world.ready(), "p")
    assert old is not None
    os.kill(old, signal.SIGKILL)
    status = await world.until(lambda s: s.state == "ready" and pids(s, "p") != [old])
    (replica,) = replicas(status, "p")
    assert replica.restarts_total == 1 and replica.incarnation == 2 and not alive(old)
    event = await world.event("replica.backoff")
    assert "SIGKILL" in event.reason and "restart 1 of 5" in event.reason


async def test_a_command_that_keeps_failing_is_given_up(world: World) -> None:
    rules = Restart(intensity=2, backoff=Backoff(base=0.01, cap=0.05))
    await world.api.apply(world.spec(sh("p", "exit 3", restart=rules)))
    status = await world.until(lambda s: replicas(s, "p") != () and replicas(s, "p")[0].phase == "given_up")
    assert "exit code 3" in replicas(status, "p")[0].detail
    assert status.processes[0].state == "failed"


async def test_a_program_that_is_not_there_is_an_explained_failure(world: World) -> None:
    missing = sh("p", "", restart=Restart(policy="never"))
    missing = type(missing)(process=type(missing.process)(name="p", command=("/no/such",)), fingerprint="1")
    await world.api.apply(world.spec(missing))
    event = await world.event("replica.backoff")
    assert "/no/such" in event.reason


async def test_what_a_crashed_process_left_behind_is_swept_before_the_next_starts(world: World) -> None:
    script = "sleep 1000 & setsid sleep 1001 & echo $! up; exec sleep 1002"
    await world.api.apply(world.spec(sh("p", script)))
    (leader,) = pids(await world.ready(), "p")
    assert leader is not None
    async with asyncio.timeout(10):
        while len(family := descendants(leader)) < 2:  # noqa: ASYNC110 - other processes make it true
            await asyncio.sleep(0.01)
    os.kill(leader, signal.SIGKILL)
    await world.until(lambda s: s.state == "ready" and pids(s, "p") != [leader])
    assert not [pid for pid in family if alive(pid)]


async def test_stop_returns_when_the_whole_group_is_gone(world: World) -> None:
    stubborn = sh("p", "trap '' TERM; sleep 1000 & sleep 1001; sleep 1002")
    await world.api.apply(world.spec(stubborn, shutdown=Shutdown(timeout=0.3)))
    (leader,) = pids(await world.ready(), "p")
    assert leader is not None
    family = descendants(leader)
    await world.api.stop("p", None)
    assert not [pid for pid in (leader, *family) if alive(pid)]
    assert (await world.api.status()).processes[0].state == "stopped"


async def test_a_stop_outranks_a_restart_that_waits(world: World) -> None:
    rules = Restart(backoff=Backoff(first=3600, base=3600, cap=3600))
    await world.api.apply(world.spec(sh("p", "exit 1", restart=rules)))
    await world.until(lambda s: replicas(s, "p") != () and replicas(s, "p")[0].phase == "backoff")
    await world.api.stop("p", None)
    (replica,) = replicas(await world.api.status(), "p")
    assert (replica.phase, replica.incarnation) == ("stopped", 1)


async def test_a_job_that_succeeded_is_not_run_again(world: World) -> None:
    await world.api.apply(world.spec(sh("p", "echo done", restart=Restart(policy="on_failure"))))
    await world.until_logged("p", "done")
    status = await world.until(lambda s: replicas(s, "p")[0].phase == "stopped")
    assert status.processes[0].state == "stopped"
    world.kill_keeper()
    await world.start_keeper()
    await world.event("keeper.adopted")
    assert world.logged("p") == ["done"]


async def test_dependents_start_after_and_stop_before_what_they_need(world: World) -> None:
    def member(name: str, *after: str) -> object:
        script = f"trap 'echo -{name} >> $OMNITRON_HOME/order; exit' TERM; echo +{name} >> $OMNITRON_HOME/order; "
        return sh(name, script + "while :; do sleep 0.01; done", after=after, depends_on=after)

    await world.api.apply(world.spec(member("c", "b"), member("a"), member("b", "a")))  # type: ignore[arg-type]
    await world.ready()
    order = world.home.root / "order"
    await world.until(lambda s: order.exists() and len(order.read_text().split()) == 3)
    await world.api.stop(None, None)
    assert order.read_text().split() == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_a_command_is_ready_when_its_probe_says_so(world: World) -> None:
    gate = world.home.root / "gate"
    await world.api.apply(world.spec(sh("p", "exec sleep 1000", health=Health(probe=f"exec:test -e {gate}"))))
    status = await world.until(lambda s: bool(replicas(s, "p")) and "waiting for exec" in replicas(s, "p")[0].detail)
    assert replicas(status, "p")[0].phase == "starting"
    gate.touch()
    await world.ready()


async def test_a_failing_liveness_probe_restarts_a_command(world: World) -> None:
    gate = world.home.root / "gate"
    gate.touch()
    health = Health(probe=f"exec:test -e {gate}", interval=0.05, failures=2)
    await world.api.apply(world.spec(sh("p", "exec sleep 1000", health=health)))
    (old,) = pids(await world.ready(), "p")
    gate.unlink()
    event = await world.event("replica.stopping")
    assert "2 times in a row" in event.reason
    gate.touch()
    await world.until(lambda s: s.state == "ready" and pids(s, "p") != [old])


async def test_a_critical_process_that_fails_for_good_stops_the_app_but_not_the_keeper(world: World) -> None:
    rules = Restart(intensity=1, patience=0, backoff=Backoff(base=0.01))
    await world.api.apply(
        world.spec(sh("other", "exec sleep 1000"), sh("core", "exit 9", critical=True, restart=rules))
    )
    event = await world.event("app.failed")
    assert "core is critical" in event.reason and "exit code 9" in event.reason
    status = await world.until(lambda s: all(r.pid is None for p in s.processes for r in p.replicas))
    assert status.state == "failed"


async def test_one_for_all_restarts_the_siblings(world: World) -> None:
    specs = (sh("p", "exec sleep 1000"), sh("q", "exec sleep 1000"))
    await world.api.apply(world.spec(*specs, strategy="one_for_all"))
    before = await world.ready()
    (old,) = pids(before, "p")
    assert old is not None
    os.kill(old, signal.SIGKILL)
    await world.until(
        lambda s: s.state == "ready" and pids(s, "p") != pids(before, "p") and pids(s, "q") != pids(before, "q")
    )


async def test_what_apply_does_not_name_any_more_is_stopped_and_the_rest_left_alone(world: World) -> None:
    await world.api.apply(world.spec(sh("p", "exec sleep 1000"), sh("q", "exec sleep 1000")))
    before = await world.ready()
    await world.api.apply(world.spec(sh("q", "exec sleep 1000")))
    status = await world.until(lambda s: len(s.processes) == 1)
    assert pids(status, "q") == pids(before, "q")
    (gone,) = pids(before, "p")
    assert gone is not None and not alive(gone)


async def test_restart_returns_when_ready_again(world: World) -> None:
    await world.api.apply(world.spec(sh("p", "exec sleep 1000")))
    before = await world.ready()
    await world.api.restart("p", None)
    after = await world.api.status()
    assert after.state == "ready" and pids(after, "p") != pids(before, "p")


async def test_scaling_a_command_adds_and_removes_the_highest_slots(world: World) -> None:
    await world.api.apply(world.spec(sh("p", "exec sleep 1000")))
    (first,) = pids(await world.ready(), "p")
    await world.api.scale("p", 3)
    status = await world.until(lambda s: s.state == "ready" and len(replicas(s, "p")) == 3)
    assert pids(status, "p")[0] == first
    await world.api.scale("p", 1)
    status = await world.until(lambda s: len(replicas(s, "p")) == 1)
    assert pids(status, "p") == [first]


async def test_a_wrong_name_is_refused_with_a_suggestion(world: World) -> None:
    await world.api.apply(world.spec(sh("worker", "exec sleep 1000")))
    with pytest.raises(NotFound, match="Did you mean 'worker'"):
        await world.api.stop("wroker", None)


async def test_a_second_keeper_of_the_same_app_refuses_to_run(world: World) -> None:
    first, log = world.keeper, world.home.root / "keeper.log"
    assert first is not None
    with pytest.raises(AssertionError, match="Another keeper runs"):
        for _ in range(50):
            world.run.joinpath("keeper.sock").unlink(missing_ok=True)
            await world.start_keeper()
    assert log.exists() and first.poll() is None
    world.keeper = first


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
async def test_a_command_runs_as_its_user_within_its_limits_and_in_its_environment(world: World) -> None:
    limits = Limits(open_files=123)
    script = "sleep 0.2; echo $(id -un) $(ulimit -n) $GREETING $OMNITRON_INSTANCE_ID; exec sleep 1000"
    await world.api.apply(world.spec(sh("p", script, user="nobody", limits=limits, env={"GREETING": "hi"})))
    await world.until_logged("p", "nobody 123 hi a/p/0")


async def test_sigterm_stops_the_app_in_order_and_ends_the_keeper(world: World) -> None:
    await world.api.apply(world.spec(sh("p", "exec sleep 1000")))
    (pid,) = pids(await world.ready(), "p")
    assert pid is not None and world.keeper is not None
    world.keeper.terminate()
    assert world.keeper.wait(10) == 0
    assert not alive(pid) and not (world.run / "keeper.json").exists()


def descendants(pid: int) -> list[int]:
    """Children of a process, and theirs."""
    try:
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
    return [*children, *(grand for child in children for grand in descendants(child))]
