"""The command line as its users see it: every command, its JSON, its exit codes, its words."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from omnitron.cli.main import COMMANDS
from omnitron.testing.real import RealSystem

ESCAPE = "\x1b"
ENDS_S = 60.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work") / "shop"


@pytest.fixture(scope="module")
def shop(folder: Path) -> Iterator[RealSystem]:
    """What `init` writes, up."""
    with RealSystem() as system:
        system.cli("init", str(folder))
        system.up(folder)
        yield system


def answer(system: RealSystem) -> httpx.Response:
    return httpx.get(f"{system.url('shop/http')}/hello/world", timeout=30.0, trust_env=False)


def arguments(folder: Path) -> dict[str, list[str]]:
    """Every command that only looks, with what it needs."""
    return {
        "status": ["--stack", "test"],
        "ps": [],
        "logs": ["shop"],
        "why": ["shop/http"],
        "events": ["shop", "-n", "5"],
        "inspect": ["shop/greeter/1"],
        "env": ["shop/http"],
        "call": ["Greeter.greet", "you"],
        "check": [str(folder)],
        "plan": [str(folder), "--stack", "test"],
        "config": [str(folder)],
        "doctor": [],
        "ping": [],
        "completion": ["bash"],
    }


ACTING = {"up", "down", "run", "init", "start", "stop", "restart", "reload", "scale", "kill"}


def documents(text: str) -> list[Any]:
    """One document, or one on each line."""
    try:
        return [json.loads(text)]
    except ValueError:
        return [json.loads(line) for line in text.splitlines()]


# --- starting


def test_init_up_and_curl_work(shop: RealSystem) -> None:
    got = answer(shop)
    assert got.status_code == 200
    assert re.fullmatch(r"Hello world, from shop/greeter/[01]", got.json()["greeting"])


def test_init_overwrites_nothing(shop: RealSystem, folder: Path) -> None:
    refused = shop.cli("init", str(folder), check=False)
    assert refused.returncode == 3 and "is there already" in refused.stderr


def test_up_twice_changes_nothing(shop: RealSystem, folder: Path) -> None:
    before = shop.pids()
    shop.up(folder)
    assert shop.pids() == before
    plan = shop.json("plan", str(folder), "--stack", "test")
    assert {change["action"] for change in plan["changes"]} <= {"keep"}


# --- looking


def test_every_command_is_tried_here(folder: Path) -> None:
    assert set(arguments(folder)) | ACTING == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(arguments(Path("."))))
def test_commands_that_look_speak_text_without_escapes_and_json(shop: RealSystem, folder: Path, name: str) -> None:
    text = shop.cli(name, *arguments(folder)[name])
    assert text.stdout.strip() and ESCAPE not in text.stdout + text.stderr
    found = documents(shop.cli(name, *arguments(folder)[name], "--json").stdout)
    assert found and found != [None]


def test_help_says_what_and_gives_examples(shop: RealSystem) -> None:
    root = shop.cli("--help").stdout
    assert all(f"  {name} " in root for name in COMMANDS)
    assert "Exit codes" in root
    assert "Examples:" in shop.cli("logs", "--help").stdout
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", shop.cli("--version").stdout)


def test_status_json_names_what_runs(shop: RealSystem) -> None:
    (stack,) = [one for one in shop.json("status")["stacks"] if one["apps"]]
    (app,) = stack["apps"]
    assert (stack["name"], app["app"], app["state"]) == ("test", "shop", "ready")
    assert {p["name"]: len(p["replicas"]) for p in app["processes"]} == {"http": 1, "greeter": 2}


def test_check_surface_lists_what_can_be_reached(shop: RealSystem, folder: Path) -> None:
    surface = shop.cli("check", str(folder), "--surface").stdout
    assert "GET /hello/{name}" in surface and "a greeting is for everybody" in surface
    assert "greeter@1.0.0.greet" in surface


def test_config_schema_is_a_schema(shop: RealSystem) -> None:
    schema = shop.json("config", "--schema")
    assert schema.get("$defs") or schema.get("properties")


def test_colours_are_for_terminals_and_not_with_no_color(shop: RealSystem) -> None:
    assert ESCAPE in on_a_terminal(shop, {"NO_COLOR": ""})
    assert ESCAPE + "[3" not in on_a_terminal(shop, {"NO_COLOR": "1"})


def on_a_terminal(system: RealSystem, env: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "omnitron", "status"]
    done = subprocess.Popen(command, env={**system.env, **env}, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    try:
        while chunk := os.read(ours, 4096):
            said += chunk
    except OSError:  # the other side has closed: that is how a terminal ends
        pass
    finally:
        os.close(ours)
    assert done.wait() == 0
    return said.decode()


# --- acting


@pytest.mark.parametrize(
    "command",
    [
        ["scale", "shop/greeter", "3"],
        ["restart", "shop/greeter/1"],
        ["reload", "shop/greeter"],
        ["stop", "shop/greeter"],
        ["start", "shop/greeter"],
        ["scale", "shop/greeter", "2"],
    ],
    ids=" ".join,
)
def test_commands_that_act_tell_their_progress(shop: RealSystem, command: list[str]) -> None:
    steps = documents(shop.cli(*command, "--stack", "test", "--json").stdout)
    assert steps[-1]["final"] and not steps[-1]["failed"]
    assert [step["final"] for step in steps].count(True) == 1
    shop.cli(*command, "--stack", "test")  # again does no harm, in words


def test_after_all_that_it_answers(shop: RealSystem) -> None:
    shop.wait(lambda: len(shop.ready("shop/greeter")) == 2)
    assert answer(shop).status_code == 200


def test_a_stopped_process_stays_stopped_over_the_death_of_daemon_and_keeper(shop: RealSystem, folder: Path) -> None:
    shop.act("stop", "shop/greeter")
    shop.kill("keeper:shop")
    shop.wait(lambda: shop.process("shop/greeter").state == "stopped")
    shop.kill("daemon")
    shop.json("plan", str(folder), "--stack", "test")  # starts a daemon that is told nothing new
    shop.wait(lambda: shop.process("shop/http").state == "ready")
    assert shop.process("shop/greeter").state == "stopped"
    refused = shop.cli("call", "Greeter.greet", "you", check=False)
    assert refused.returncode == 3 and "No replica" in refused.stderr
    shop.act("start", "shop/greeter")
    shop.wait(lambda: answer(shop).status_code == 200)


# --- exit codes and words


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        (["why", "shop/htpt"], 3, "Did you mean 'http'"),
        (["why", "shp"], 3, "Did you mean 'shop'"),
        (["logs", "shop/greter"], 3, "Did you mean 'greeter'"),
        (["scale", "shop/greeter", "0"], 3, "omnitron stop"),
        (["scale", "shop", "2"], 3, "Scale one of its processes"),
        (["restart", "shop/greeter/7"], 3, "none with slot 7"),
        (["call", "Greeter"], 3, "SERVICE.METHOD"),
        (["call", "Greter.greet", "x"], 3, "Did you mean"),
        (["call", "Greeter.greeet", "x"], 1, "greet"),
        (["call", "Greeter.greet", "1", "2", "3"], 1, "greet"),
        (["statu"], 3, "status"),
        (["status", "--jsn"], 3, "--json"),
        (["scale", "shop/greeter"], 3, "COUNT"),
        (["up", "/nowhere/at/all"], 1, "/nowhere/at/all"),
        (["logs", "--since", "5 cows"], 1, "5 cows"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_can_not_be_done_is_said_with_a_suggestion(
    shop: RealSystem, command: list[str], code: int, says: str
) -> None:
    done = shop.cli(*command, check=False)
    assert (done.returncode, says in done.stderr) == (code, True), done.stderr
    assert "Traceback" not in done.stderr and ESCAPE not in done.stderr


@pytest.mark.parametrize("command", [["status"], ["ping"], ["down"], ["why", "x"], ["kill"], ["scale", "a/b", "2"]])
def test_without_a_daemon_the_exit_code_is_two(nobody: RealSystem, command: list[str]) -> None:
    done = nobody.cli(*command, check=False)
    assert done.returncode == 2 and "omnitron up" in done.stderr
    report = json.loads(nobody.cli(*command, "--json", check=False).stdout)
    assert report["error"]["code"] == "daemon_unreachable"


# --- shells


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_can_be_read_by_their_shells(nobody: RealSystem, tmp_path: Path, shell: str) -> None:
    script = tmp_path / f"omnitron.{shell}"
    script.write_text(nobody.cli("completion", shell).stdout)
    assert "_OMNITRON_COMPLETE" in script.read_text()
    if (program := shutil.which(shell)) is not None:  # bash is everywhere; the others where somebody uses them
        subprocess.run([program, "-n", str(script)], check=True, timeout=ENDS_S)


def test_completion_knows_commands_and_what_runs(shop: RealSystem) -> None:
    def completed(words: str, index: int) -> set[str]:
        asked = {"_OMNITRON_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(index)}
        program = "from omnitron.cli.main import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", program], env={**shop.env, **asked}, capture_output=True, text=True, timeout=ENDS_S
        )
        return {line.partition(",")[2] for line in done.stdout.splitlines()}

    assert completed("omnitron sta", 1) == {"status", "start"}
    assert completed("omnitron why shop/g", 2) == {"shop/greeter"}


# --- stopping; last, as everything is gone then


def test_kill_daemon_only_leaves_the_apps_and_up_finds_them(shop: RealSystem, folder: Path) -> None:
    before, url = shop.pids(), shop.url("shop/http")
    shop.cli("kill", "--daemon-only")
    assert httpx.get(f"{url}/hello/world", timeout=30.0, trust_env=False).status_code == 200
    shop.up(folder)
    assert shop.pids() == before


def test_down_and_kill_leave_nothing(shop: RealSystem) -> None:
    steps = documents(shop.cli("down", "--stack", "test", "--json").stdout)
    assert steps[-1]["final"] and not steps[-1]["failed"]
    assert shop.census.replicas() == {} and shop.census.keepers() == {}
    assert shop.cli("ping").returncode == 0
    assert json.loads(shop.cli("kill", "--json").stdout) == {"stopped": "everything"}
    until = time.monotonic() + ENDS_S
    while shop.survivors() and time.monotonic() < until:
        time.sleep(0.01)
    assert shop.survivors() == []
