"""The command line and programs that fail, print, or run in the foreground."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omnitron.base.home import Home
from omnitron.testing.census import Census
from omnitron.testing.real import RealSystem

ENDS_S = 60.0


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RealSystem, Path]]:
    """Programs that print; one waits for a flag."""
    flag = tmp_path_factory.mktemp("talk") / "flag"
    with RealSystem(env={"TALK_FLAG": str(flag)}) as system:
        yield system, flag


def test_up_fails_with_the_reason_and_once_that_is_mended_tries_again_at_once(talk: tuple[RealSystem, Path]) -> None:
    system, flag = talk
    path = str(Path(__file__).parent / "apps" / "talk")
    failed = system.cli("up", path, "--stack", "test", check=False)
    assert failed.returncode == 1
    assert "talk/waiter" in failed.stderr and "there is no flag" in failed.stderr
    assert not re.search(r"failed: *$", failed.stderr, re.MULTILINE)  # no failure without a reason
    assert "there is no flag" in system.act("why", "talk/waiter").stdout
    assert system.process("talk/talker").state == "ready"  # the others run
    flag.touch()
    system.up(path)
    assert system.process("talk/waiter").state == "ready"


def test_logs_are_filtered_by_level_pattern_number_and_name(talk: tuple[RealSystem, Path]) -> None:
    system, _ = talk

    def lines(*filters: str) -> list[dict[str, Any]]:
        return list(system.json("logs", "talk/talker", "-n", "1000", *filters))

    system.wait(lambda: len(lines()) >= 201)
    assert [r["fields"]["number"] for r in lines("-l", "error")] == list(range(0, 200, 10))
    assert [r["msg"] for r in lines("-g", r"line 19\d$")] == [f"line {n}" for n in range(190, 200)]
    assert [r["msg"] for r in lines("-n", "2")] == ["line 199", "plain words"]
    assert lines("--since", "1h") and lines("-g", "no such words") == []
    assert {record["process"] for record in system.json("logs", "-n", "1000")} == {"talker", "waiter"}
    text = system.cli("logs", "talk/talker/0", "-n", "1").stdout
    assert "talk/talker/0" in text and "plain words" in text


def test_logs_follow_and_end_with_the_reader(talk: tuple[RealSystem, Path]) -> None:
    system, _ = talk
    command = [sys.executable, "-m", "omnitron", "logs", "-f", "-n", "3", "talk/talker", "--json"]
    process = subprocess.Popen(command, env=system.env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert json.loads(process.stdout.readline())["msg"] == "line 198"
        system.act("restart", "talk/talker")
        fresh = next(line for line in process.stdout if '"line 0"' in line)
        assert json.loads(fresh)["process"] == "talker"
    finally:
        process.send_signal(signal.SIGINT)
        process.stdout.close()
        assert process.wait(ENDS_S) in (0, 130)


def test_run_serves_in_the_foreground_and_leaves_nothing(nobody: RealSystem, tmp_path: Path) -> None:
    definition, home = tmp_path / "shop", tmp_path / "home"
    nobody.cli("init", str(definition))
    file = definition / "system.py"
    file.write_text(file.read_text().replace("port=8080", "port=0"))
    command = [sys.executable, "-m", "omnitron", "run", str(definition), "--home", str(home)]
    process = subprocess.Popen(command, env=nobody.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    census = Census(Home(home), "dev")
    assert process.stdout is not None
    try:
        started = next(line for line in process.stdout if line.startswith("done in") or "error" in line)
        assert started.startswith("done in") and len(census.replicas()) == 3
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=ENDS_S)
    finally:
        process.terminate()
        process.wait(ENDS_S)
    assert process.returncode == 0 and "Traceback" not in said
    assert census.replicas() == {} and census.keepers() == {}
    nobody.wait(lambda: not census.everybody())
