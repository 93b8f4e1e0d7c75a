"""Bringing apps up, changing them, stopping them: what runs afterwards, and what was said on the way."""

import asyncio
import os
import signal
import socket

import pytest
from daemon_home import Household, app, described, sleeper

from omnitron.base.errors import NotFound, Refused
from omnitron.control.daemon import Progress
from omnitron.model.health import Health
from omnitron.model.restart import Backoff, Restart
from omnitron.model.transports import Http, Transports

NEVER = Health(probe="exec:false")  # a command without a probe is ready when it runs
FRAIL = Restart(intensity=1, period=5.0, backoff=Backoff(base=0.01, cap=0.02))


def final(steps: list[Progress]) -> Progress:
    assert [step.final for step in steps] == [False] * (len(steps) - 1) + [True]
    return steps[-1]


async def test_up_is_over_when_everything_is_ready(house: Household) -> None:
    steps = await house.up(app("market", sleeper("web", instances=2), sleeper("api")))
    assert not final(steps).failed
    assert {s.subject for s in steps if s.state == "ready"} == {"market/web", "market/api"}
    assert sorted(await house.pids()) == ["market/api/0", "market/web/0", "market/web/1"]


async def test_only_what_changed_is_rolled_and_what_is_gone_is_stopped(house: Household) -> None:
    await house.up(app("market", sleeper("web"), sleeper("api"), sleeper("old")))
    before = await house.pids()
    changed = app("market", sleeper("web"), sleeper("api", "sleep", "1001"), sleeper("new"))
    plan = await house.daemon.plan(described(house.project / "system.py", changed), house.stack)
    assert [(c.action, c.subject) for c in plan.changes] == [
        ("keep", "market/web"), ("reload", "market/api"), ("create", "market/new"), ("remove", "market/old"),
    ]  # fmt: skip
    assert await house.pids() == before  # a plan changes nothing
    assert not final(await house.up(changed)).failed
    after = await house.pids()
    assert after["market/web/0"] == before["market/web/0"]
    assert after["market/api/0"] != before["market/api/0"]
    assert "market/new/0" in after and "market/old/0" not in after


async def test_changed_code_rolls_what_runs_it(house: Household) -> None:
    script = house.project / "work.py"
    script.write_text("import time; time.sleep(1000)")
    worker = sleeper("worker", "python3", "work.py")
    await house.up(app("market", worker, sleeper("web")))
    before = await house.pids()
    script.write_text("import time; time.sleep(2000)")
    await house.up(app("market", worker, sleeper("web")))
    after = await house.pids()
    assert after["market/worker/0"] != before["market/worker/0"]
    assert after["market/web/0"] == before["market/web/0"]


async def test_a_process_that_fails_ends_up_with_its_reason_and_leaves_the_others(house: Household) -> None:
    broken = sleeper("broken", "sh", "-c", "echo oh dear; exit 7", restart=FRAIL, health=NEVER)
    steps = await house.up(app("market", broken, sleeper("web")))
    assert final(steps).failed
    failed = [s for s in steps if s.failed and not s.final]
    assert [s.subject for s in failed] == ["market/broken"] and "exit code 7" in failed[0].detail
    assert "market/web/0" in await house.pids()
    why = await house.daemon.why(house.stack, "market/broken/0")
    assert "given up" in why.summary[0] and "exit code 7" in why.summary[0]
    assert any("oh dear" in line for line in why.output)


async def test_what_failed_can_be_mended_by_another_up(house: Household) -> None:
    flag = house.project / "flag"
    health = Health(probe=f"exec:test -e {flag}")
    script = f"test -e {flag} && exec sleep 1000; exit 1"
    fragile = app("market", sleeper("web", "sh", "-c", script, restart=FRAIL, health=health))
    assert final(await house.up(fragile)).failed
    flag.touch()
    assert not final(await house.up(fragile)).failed


async def test_a_wrong_definition_is_refused_with_all_findings(house: Household) -> None:
    wrong = sleeper("one", transports=Transports(http=Http(port=7001)))
    clash = sleeper("two", transports=Transports(http=Http(port=7001)))
    with pytest.raises(Refused, match="7001"):
        await house.up(app("market", wrong, clash))
    assert await house.apps() == {}


async def test_a_port_of_another_program_is_named_before_anything_starts(own: Household) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(Refused, match=f"{port}.*another program"):
            await own.up(app("market", sleeper("web", transports=Transports(http=Http(port=port)))))
    assert await own.apps() == {}


async def test_down_stops_callers_first_and_keeps_what_is_known(house: Household) -> None:
    await house.up(app("ledger"), app("market"), depends_on={"market": ("ledger",)})
    steps = await house.collect(house.daemon.down(house.stack, None, False))
    stopped = [s.subject for s in steps if s.state == "stopped"]
    assert stopped == ["market", "ledger"] and not final(steps).failed
    assert await house.pids() == {}
    apps = await house.apps()
    assert {a.state for a in apps.values()} == {"stopped"} and len(apps) == 2
    await house.collect(house.daemon.start(house.stack, "ledger"))
    assert sorted(await house.pids()) == ["ledger/web/0"]


async def test_apps_start_after_those_they_depend_on(house: Household) -> None:
    steps = await house.up(app("market"), app("ledger"), depends_on={"market": ("ledger",)})
    ready = [s.subject for s in steps if s.state == "ready"]
    assert ready == ["ledger/web", "market/web"]


async def test_an_app_no_longer_declared_is_stopped_and_forgotten(house: Household) -> None:
    await house.up(app("market"), app("ledger"))
    await house.up(app("market"))
    assert sorted(await house.pids()) == ["market/web/0"]
    assert set(await house.apps()) == {"market"}


async def test_start_stop_scale_restart_and_reload(house: Household) -> None:
    await house.up(app("market", sleeper("web", instances=2), sleeper("api")))
    first = await house.pids()
    daemon = house.daemon
    for steps in (
        daemon.stop(house.stack, "market/api"),
        daemon.scale(house.stack, "market/web", 3),
        daemon.stop(house.stack, "market/web/1"),
    ):
        assert not final(await house.collect(steps)).failed
    assert sorted(await house.pids()) == ["market/web/0", "market/web/2"]
    assert not final(await house.collect(daemon.start(house.stack, "market/web/1"))).failed
    assert not final(await house.collect(daemon.restart(house.stack, "market/web/0"))).failed
    assert not final(await house.collect(daemon.start(house.stack, "market"))).failed
    assert not final(await house.collect(daemon.reload(house.stack, "market/api", None))).failed
    after = await house.pids()
    assert sorted(after) == ["market/api/0", "market/web/0", "market/web/1", "market/web/2"]
    assert not set(first.values()) & set(after.values())


async def test_a_scaled_count_survives_another_up(house: Household) -> None:
    await house.up(app("market"))
    await house.collect(house.daemon.scale(house.stack, "market/web", 3))
    await house.up(app("market"))
    assert len(await house.pids()) == 3


async def test_reload_with_a_definition_rolls_the_rest_of_the_target_too(house: Household) -> None:
    await house.up(app("market", sleeper("web"), sleeper("api")))
    before = await house.pids()
    changed = described(house.project / "system.py", app("market", sleeper("web"), sleeper("api", "sleep", "1001")))
    assert not final(await house.collect(house.daemon.reload(house.stack, "market", changed))).failed
    after = await house.pids()
    assert sorted(after) == sorted(before) and not set(after.values()) & set(before.values())


async def test_names_that_do_not_exist_are_answered_with_the_nearest(house: Household) -> None:
    await house.up(app("market", sleeper("web")))
    with pytest.raises(NotFound, match="Did you mean 'market'"):
        await house.collect(house.daemon.stop(house.stack, "markt"))
    with pytest.raises(NotFound, match="Did you mean 'web'"):
        await house.collect(house.daemon.restart(house.stack, "market/wbe"))
    with pytest.raises(NotFound, match="slot 4"):
        await house.daemon.why(house.stack, "market/web/4")
    with pytest.raises(NotFound, match="prod"):
        await house.daemon.status("prod")


async def test_two_stacks_run_side_by_side(house: Household) -> None:
    one = app("market", sleeper("web", transports=Transports(http=Http(port=0))))
    names = (house.stack, f"{house.stack}-b")
    for name in names:
        await house.up(one, stack=name)
    found = {s.name: s for s in (await house.daemon.status(None)).stacks}
    assert len({found[name].apps[0].processes[0].ports["http"] for name in names}) == 2
    await house.collect(house.daemon.down(names[1], None, False))
    found = {s.name: s for s in (await house.daemon.status(None)).stacks}
    assert [found[name].state for name in names] == ["ready", "stopped"]


async def test_a_critical_app_that_fails_stops_its_stack_in_order_and_not_the_daemon(house: Household) -> None:
    patience = Restart(intensity=0, period=1.0, patience=0.0, backoff=Backoff(base=0.01, cap=0.01))
    heart = app("heart", sleeper("beat", critical=True, restart=patience), critical=True)
    await house.up(heart, app("market"))
    pid = (await house.daemon.ping()).pid

    async def gone() -> bool:
        return await house.pids() == {}

    os.kill((await house.pids())["heart/beat/0"], signal.SIGKILL)
    await house.until(gone)
    assert "stack.stopped" in await house.kinds()
    assert (await house.daemon.ping()).pid == pid
    assert {a.state for a in (await house.apps()).values()} == {"stopped"}


async def test_events_are_followed_as_they_happen(house: Household) -> None:
    await house.up(app("market"))
    seen: list[str] = []

    async def follow() -> None:
        async for event in house.daemon.events(house.stack, "market/web/0", 0, True):
            seen.append(event.kind)
            if event.kind == "replica.ready":
                return

    following = asyncio.ensure_future(follow())
    await asyncio.sleep(0.05)
    await house.collect(house.daemon.restart(house.stack, "market/web/0"))
    await asyncio.wait_for(following, 10)
    assert seen[-1] == "replica.ready" and len(seen) > 1


async def test_inspect_shows_no_values_of_the_environment(house: Household) -> None:
    await house.up(app("market", sleeper("web", env={"TOKEN": "hush"})))
    assert "hush" not in str(await house.daemon.inspect(house.stack, "market/web"))
    assert (await house.daemon.env(house.stack, "market/web"))["TOKEN"] == "hush"


async def test_a_down_in_the_middle_of_an_up_wins_and_the_up_says_so(house: Household) -> None:
    never = sleeper("web", health=Health(probe="exec:false", interval=60.0))
    going = asyncio.ensure_future(house.up(app("market", never)))

    async def begun() -> bool:
        return bool(await house.pids())

    await house.until(begun)
    steps = await house.collect(house.daemon.down(house.stack, "market", False))
    assert not final(steps).failed
    assert final(await going).failed and "down" in final(await going).detail
    assert await house.pids() == {}
