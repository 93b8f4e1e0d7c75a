"""A hostile world: homes removed, files damaged, programs that do what they should not. Nothing may hang or be left."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnitron.testing.real import RealSystem


@pytest.fixture
def system() -> Iterator[RealSystem]:
    with RealSystem() as one:
        yield one
        one.cli("kill", check=False)
        assert one.survivors() == []


def define(folder: Path, *processes: str) -> Path:
    """A definition file of app "a" with these `Process(...)`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "system.py"
    listed = ",\n    ".join(processes)
    path.write_text(
        "from omnitron import *\n"
        "system = define_system(name='a', version='1.0.0', shutdown=Shutdown(timeout=0.3), "
        f"processes=[\n    {listed}])\n"
    )
    return path


def sh(name: str, script: str, more: str = "") -> str:
    return f"Process(name={name!r}, command=['/bin/sh', '-c', {script!r}]{more})"


SLEEPER = sh("p", "exec sleep 1000")


def test_a_home_that_is_removed_stops_everything_in_it(system: RealSystem, tmp_path: Path) -> None:
    system.up(define(tmp_path, SLEEPER, sh("q", "trap '' TERM; sleep 1000", ", instances=2")))
    assert len(system.survivors()) >= 5
    shutil.rmtree(system.home.root)
    system.wait(lambda: not system.survivors())


def test_a_new_start_in_a_home_that_was_removed_is_left_alone_by_the_old_one(
    system: RealSystem, tmp_path: Path
) -> None:
    path = define(tmp_path, SLEEPER)
    system.up(path)
    before = system.survivors()
    shutil.rmtree(system.home.root)
    system.up(path)
    mine = system.pids()
    system.wait(lambda: not set(before) & set(system.survivors()))
    assert system.pids() == mine and system.status().state == "ready"
    system.kill("a/p/0")
    system.wait(lambda: system.pids() != mine and system.status().state == "ready")
