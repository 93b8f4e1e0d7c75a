"""The fake of the door to processes, with the supervision that stands behind the real one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from signal import SIGINT, SIGKILL, SIGTERM

import pytest

from omnitron.base.errors import OperationError
from omnitron.control.keeper import AppSpec, ProcessSpec
from omnitron.model.process import Process
from omnitron.model.state import ExitStatus, Phase, Reason
from omnitron.supervise.app import App
from omnitron.supervise.apply import apply
from omnitron.supervise.probe import Answer, Probe
from omnitron.supervise.spawn import Launch, Spawner
from omnitron.testing import FakeClock, FakeProcess, FakeSpawner, SeededRand

DEADLINE_S = 10.0
STOP = Reason("stop", "the test says so")


@pytest.fixture
async def spawner() -> AsyncIterator[FakeSpawner]:
    spawner = FakeSpawner()
    yield spawner
    await spawner.close()


@pytest.fixture
async def app(tmp_path: Path, spawner: FakeSpawner) -> AsyncIterator[App]:
    """An app of one program, under a real supervisor that has no processes."""
    process = ProcessSpec(process=Process(name="db", command=("database", "--serve"), stop_signal="SIGINT"))
    empty = AppSpec(
        app="a", stack="test", version="1", cwd="/", python="python", processes=(), log_dir=str(tmp_path / "logs")
    )
    app = App(empty, tmp_path, tmp_path / "run", spawner, FakeClock(), SeededRand(1))
    await apply(app, AppSpec(app="a", stack="test", version="1", cwd="/", python="python", processes=(process,)))
    await until(app, lambda: phase(app) is Phase.RUNNING)
    yield app
    await app.close()


def phase(app: App) -> Phase:
    replica = app.pools["db"].replicas.get(0)
    return Phase.STOPPED if replica is None else replica.slot.phase


async def until(app: App, reached: object) -> None:
    assert callable(reached)
    assert await app.news.until(reached, DEADLINE_S)


def program(process: FakeProcess) -> tuple[str, ...]:
    return process.launch.argv


async def test_the_supervisor_starts_anew_what_has_died(app: App, spawner: FakeSpawner) -> None:
    (first,) = spawner.running
    spawner.end(first, ExitStatus(code=1))
    await until(app, lambda: phase(app) is Phase.RUNNING and app.pools["db"].replicas[0].slot.restarts == 1)
    (second,) = spawner.running
    assert (program(second), second.pid) != (program(first), first.pid)
    assert program(second) == ("database", "--serve")


async def test_the_supervisor_stops_it_with_its_own_signal(app: App, spawner: FakeSpawner) -> None:
    (process,) = spawner.running
    await app.stop_all(STOP)
    assert (process.signals, process.status) == ([SIGINT], ExitStatus(signal=SIGINT))
    assert spawner.running == []


async def test_the_supervisor_kills_what_a_dead_program_has_left_behind(app: App, spawner: FakeSpawner) -> None:
    (process,) = spawner.running
    child = spawner.leave_child(process)
    spawner.end(process, ExitStatus(signal=9))
    await until(app, lambda: app.pools["db"].replicas[0].slot.restarts == 1)
    assert child.signals[-1:] == [SIGKILL]
    assert child not in spawner.running


async def test_the_supervisor_tells_why_nothing_can_be_started(app: App, spawner: FakeSpawner) -> None:
    spawner.refuse = OperationError("There are no more processes.")
    spawner.end(spawner.running[0], ExitStatus(signal=9))
    await until(app, lambda: "no more processes" in app.pools["db"].replicas[0].slot.reason.text)
    assert spawner.running == []


@pytest.mark.parametrize(("code", "answer"), [(0, Answer(True)), (3, Answer(False, "exec:check: exit code 3"))])
async def test_a_probe_is_as_good_as_its_programs_exit_code(code: int, answer: Answer) -> None:
    async def check(process: FakeProcess) -> int:
        return code

    spawner = FakeSpawner(check)
    assert await Probe("exec:check", spawner, {}, "/").ask(DEADLINE_S) == answer


async def test_a_probe_that_hangs_is_killed(spawner: FakeSpawner) -> None:
    answer = await Probe("exec:check --all", spawner, {}, "/").ask(0.01)
    assert not answer.ok
    assert [(program(p), p.signals) for p in spawner.processes] == [(("check", "--all"), [SIGKILL])]


async def test_a_program_lives_in_virtual_time_and_may_ignore_signals() -> None:
    clock = FakeClock()
    ended: list[ExitStatus] = []

    async def stubborn(process: FakeProcess) -> int:
        process.ignores.add(SIGTERM)
        await clock.sleep(3600)
        return 7

    fake = FakeSpawner(stubborn)
    spawner: Spawner = fake
    pid = spawner.start(Launch(("stubborn",), {}, "/"))
    spawner.watch(pid, ended.append)
    await asyncio.sleep(0)
    assert spawner.signal(pid, SIGTERM)
    await clock.advance(3599)
    assert ended == [] and spawner.members(pid) == [pid]
    await clock.advance(1)
    assert ended == [ExitStatus(code=7)] and not spawner.signal(pid, 0)
