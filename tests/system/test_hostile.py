"""A hostile world: homes removed, files damaged, programs that do what they should not. Nothing may hang or be left."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnitron.logs.record import MAX_LINE
from omnitron.testing.real import RealSystem


@pytest.fixture
def system() -> Iterator[RealSystem]:
    """A home of its own; after each test `kill` must leave nothing, and no replica may ever have run twice."""
    with RealSystem() as one, one.census.watching() as twice:
        yield one
        one.cli("kill", check=False)
        assert one.survivors() == []
        assert twice == []


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
WORKER = """
from omnitron import rpc, service


@service("worker@1.0.0")
class Worker:
    @rpc
    async def ping(self) -> int:
        return 1
"""
POOL = "Process(name='w', module='work', instances=2, topology=Topology(expose=True))"


def background(system: RealSystem, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "omnitron", *arguments, "--stack", system.stack]
    return subprocess.Popen(command, env=system.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def begun(system: RealSystem, count: int) -> bool:
    """At least so many replicas run."""
    return sum(len(pids) for pids in system.census.replicas().values()) >= count


def settled(system: RealSystem, replicas: int) -> bool:
    """All ready, and the daemon and the kernel agree who runs."""
    counted = {name: pids[0] for name, pids in system.census.replicas().items() if len(pids) == 1}
    return system.status().state == "ready" and system.pids() == counted and len(counted) == replicas


# -- the home


def test_a_home_that_is_removed_stops_everything_in_it(system: RealSystem, tmp_path: Path) -> None:
    system.up(define(tmp_path, SLEEPER, sh("q", "trap '' TERM; sleep 1000", ", instances=2")))
    assert len(system.survivors()) >= 5
    shutil.rmtree(system.home.root)
    system.wait(lambda: not system.survivors())


def test_a_new_start_in_a_home_that_was_removed_is_left_alone_by_the_old_one(
    system: RealSystem, tmp_path: Path
) -> None:
    path = define(tmp_path, sh("q", "exec sleep 1000"))
    system.up(path)
    before = system.survivors()
    shutil.rmtree(system.home.root)
    system.up(path)
    system.wait(lambda: not set(before) & set(system.survivors()))
    system.wait(lambda: settled(system, 1))


def test_a_home_that_can_not_be_used_is_explained(system: RealSystem, tmp_path: Path) -> None:
    path = define(tmp_path, SLEEPER)
    root = system.home.root
    for name, kind in (("daemon.lock", "dir"), ("daemon.sock", "dir"), ("store.db", "dir"), ("daemon.log", "dir")):
        (root / name).mkdir()
        done = system.cli("up", str(path), "--stack", system.stack, check=False)
        assert done.returncode == 1 and "fix:" in done.stderr and "Traceback" not in done.stderr, (name, kind, done)
        assert name in done.stderr
        (root / name).rmdir()
        for leftover in root.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    shutil.rmtree(root)
    root.write_text("a file")
    done = system.cli("up", str(path), check=False)
    assert done.returncode == 1 and "fix:" in done.stderr and "Traceback" not in done.stderr
    root.unlink()


def test_a_home_where_nothing_can_be_written_is_explained(system: RealSystem, tmp_path: Path) -> None:
    up = [sys.executable, "-m", "omnitron", "up", str(define(tmp_path, SLEEPER))]
    daemon = [sys.executable, "-m", "omnitron.daemon", "--home", str(system.home.root), "--foreground"]
    nowhere = {**system.env, "OMNITRON_HOME": "/proc/omnitron"}
    for env, command in ((nowhere, up), (system.env, ["/bin/sh", "-c", 'ulimit -f 4; exec "$@"', "sh", *daemon])):
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
        assert str(env["OMNITRON_HOME"]) in done.stderr and ("fix:" in done.stderr or "disk" in done.stderr)


def test_a_disk_that_becomes_full_stops_nothing(system: RealSystem, tmp_path: Path) -> None:
    system.up(define(tmp_path, sh("p", "while :; do echo line; sleep 0.05; done"), sh("q", "exec sleep 1000")))
    books = [system.pid("daemon"), system.pid("keeper:a")]
    before = {pid: resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in books}
    for pid, (_, hard) in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    killed = system.kill("a/q/0")
    system.wait(lambda: system.replica("a/q/0").pid not in (killed, None))
    refused = system.act("stop", "a/q", check=False)
    assert refused.returncode == 1 and "store" in refused.stderr and "fix:" in refused.stderr
    assert system.replica("a/q/0").ready
    for pid, limits in before.items():
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    system.act("stop", "a/q")
    assert system.process("a/q").state == "stopped"


def test_names_of_any_length_and_script_work(system: RealSystem, tmp_path: Path) -> None:
    long = "ü" * 60 + " 文件夹" * 10
    deep = tmp_path / long / ("x" * 150)
    (deep / "home").mkdir(parents=True)
    (deep / "work.py").write_text(WORKER)
    env = {**system.env, "OMNITRON_HOME": str(deep / "home")}
    path = define(deep, SLEEPER, POOL)
    for command in (["up", str(path)], ["call", "worker.ping"], ["logs", "a"], ["kill"]):
        done = subprocess.run(
            [sys.executable, "-m", "omnitron", *command], env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)


# -- the daemon and those who talk to it


def test_two_at_once_are_one(system: RealSystem, tmp_path: Path) -> None:
    path = str(define(tmp_path, SLEEPER, sh("q", "exec sleep 1000", ", instances=3")))
    both = [background(system, "up", path) for _ in range(3)]
    outputs = [one.communicate(timeout=60)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0, 0], outputs
    assert settled(system, 4)
    second = subprocess.run(
        [sys.executable, "-m", "omnitron.daemon", "--home", str(system.home.root)],
        env=system.env, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert second.returncode == 3 and "already runs" in second.stderr


def test_up_and_down_at_once_end_in_one_of_both(system: RealSystem, tmp_path: Path) -> None:
    path = str(define(tmp_path, SLEEPER, sh("q", "exec sleep 1000", ", instances=3")))
    system.up(path)
    down = background(system, "down")
    up = background(system, "up", path)
    said = down.communicate(timeout=60)[0], up.communicate(timeout=60)[0]
    assert 0 in (down.returncode, up.returncode), said
    system.wait(lambda: settled(system, 4) or system.status().state == "stopped")
    system.up(path)
    assert settled(system, 4)


def test_a_daemon_killed_in_the_middle_of_up_goes_on_with_the_next(system: RealSystem, tmp_path: Path) -> None:
    slow = sh("q", "exec sleep 1000", f", instances=3, health=Health(probe='exec:test -e {tmp_path}/gate')")
    path = str(define(tmp_path, SLEEPER, slow))
    up = background(system, "up", path)
    system.wait(lambda: begun(system, 4))
    system.kill("daemon")
    said, _ = up.communicate(timeout=60)
    assert up.returncode not in (0, None) and "Traceback" not in said, said
    (tmp_path / "gate").touch()
    system.up(path)
    assert settled(system, 4)


def test_sigterm_ends_the_daemon_and_leaves_the_apps(system: RealSystem, tmp_path: Path) -> None:
    system.up(define(tmp_path, SLEEPER))
    before, daemon = system.pids(), system.kill("daemon", signal.SIGTERM)
    system.wait(lambda: not Path(f"/proc/{daemon}").exists())
    assert not system.home.daemon_socket.exists() and not system.home.daemon_info.exists()
    assert begun(system, 1)
    system.up(define(tmp_path, SLEEPER))
    assert system.pids() == before


def test_damaged_files_cost_a_word_and_nothing_else(system: RealSystem, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(WORKER)
    path = define(tmp_path, SLEEPER, POOL)
    system.up(path)
    before = system.pids()
    for pid in (system.pid("keeper:a"), system.pid("daemon")):
        os.kill(pid, signal.SIGKILL)
    run = system.home.run_dir(system.stack, "a")
    for file in (*system.home.root.glob("store.db*"), system.home.daemon_info, system.home.daemon_lock,
                 *run.glob("keeper.json"), *run.glob("*.steps"), run / "keeper.lock"):  # fmt: skip
        file.write_bytes(b"\x00garbage{" * 100)
    for stale in (system.home.daemon_socket, run / "keeper.sock"):
        stale.unlink(missing_ok=True)
        stale.write_text("no socket")
    system.up(path)
    assert system.pids() == before and settled(system, 3)


def test_keepers_and_templates_killed_at_any_moment_leave_one_of_each(system: RealSystem, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(WORKER)
    path = str(define(tmp_path, POOL, sh("q", "exec sleep 1000", ", instances=3")))
    for kind in ("keepers", "templates", "keepers"):
        up = background(system, "up", path)
        victims = system.wait(lambda kind=kind: getattr(system.census, kind)())  # type: ignore[misc]
        for pid in [pid for pids in victims.values() for pid in pids]:
            os.kill(pid, signal.SIGKILL)
        said, _ = up.communicate(timeout=60)
        assert up.returncode == 0, said
        system.wait(lambda: settled(system, 5))
        system.cli("down", "--stack", system.stack)
    assert begun(system, 0)


def test_a_keeper_killed_in_a_reload_is_replaced_and_the_reload_can_be_repeated(
    system: RealSystem, tmp_path: Path
) -> None:
    (tmp_path / "work.py").write_text("import time\ntime.sleep(0.2)\n" + WORKER)
    path = str(define(tmp_path, POOL))
    system.up(path)
    old, reload = set(system.pids().values()), background(system, "reload", "a")
    system.wait(lambda: any("rollout.begun" in event.kind for event in system.events("a")))
    system.kill("keeper:a")
    said, _ = reload.communicate(timeout=60)
    assert "Traceback" not in said
    system.wait(lambda: settled(system, 2))
    system.act("reload", "a")
    assert settled(system, 2) and not old & set(system.pids().values())


# -- definitions


HOSTILE_DEFINITIONS = {
    "exits": ("import os; os._exit(3)", "exit code 3"),
    "leaves": ("raise SystemExit('enough')", "SystemExit"),
    "kills itself": ("import os; os.kill(os.getpid(), 9)", "SIGKILL"),
    "prints a lot and fails": ("print('x' * 10_000_000); import nothing_of_that_name", "nothing_of_that_name"),
    "asks": ("input('name? ')", "EOFError"),
}


@pytest.mark.parametrize("what", HOSTILE_DEFINITIONS)
def test_a_definition_that_misbehaves_is_explained(what: str, system: RealSystem, tmp_path: Path) -> None:
    code, word = HOSTILE_DEFINITIONS[what]
    path = define(tmp_path, SLEEPER)
    path.write_text(code + "\n" + path.read_text())
    done = system.cli("up", str(path), check=False)
    assert done.returncode == 1 and word in done.stderr and "fix:" in done.stderr, done.stderr[-2000:]
    assert not system.home.daemon_socket.exists()


def test_a_definition_that_prints_and_forks_still_works_and_leaves_nothing(system: RealSystem, tmp_path: Path) -> None:
    noise = "import os, time\nos.write(1, b'x' * 100_000_000)\nif os.fork() == 0:\n    time.sleep(1000)\n"
    path = define(tmp_path, SLEEPER, "Process(name='w', module='work')")
    path.write_text(noise + path.read_text())
    (tmp_path / "work.py").write_text(noise.replace("100_000_000", "100_000") + WORKER)
    describing = subprocess.run(
        [sys.executable, "-m", "omnitron", "check", str(path)], env=system.env, capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert describing.returncode == 0, describing
    assert system.survivors() == []


# -- programs


def test_a_module_with_threads_is_not_forked_and_it_is_said(system: RealSystem, tmp_path: Path) -> None:
    threads = "import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n"
    (tmp_path / "work.py").write_text(threads + WORKER)
    system.up(define(tmp_path, POOL))
    for replica in system.ready("a/w"):
        assert replica.mode == "spawn" and "threads" in replica.detail


def test_programs_that_fail_at_once_are_not_called_ready(system: RealSystem, tmp_path: Path) -> None:
    never, failing = ", restart=Restart(policy='never')", ", restart=Restart(policy='on_failure')"
    path = define(tmp_path, sh("done", "exit 0", failing), sh("once", "exit 0", never))
    system.up(path)
    assert system.process("a/done").state == system.process("a/once").state == "stopped"
    bad = f"Process(name='bad', command=[{sys.executable!r}, '-c', 'exit(7)'], restart=Restart(intensity=1))"
    path = define(tmp_path, SLEEPER, bad, sh("never", "exit 8", never))
    done = system.cli("up", str(path), "--stack", system.stack, check=False)
    assert done.returncode == 1 and "exit code 7" in done.stderr and "exit code 8" in done.stderr
    assert system.process("a/p").state == "ready"


STUBBORN = (
    "trap '' TERM INT HUP; setsid sh -c 'trap \"\" TERM; sleep 1000' & (sleep 1000 &) ; while :; do sleep 1; done"
)


def test_what_ignores_signals_and_hides_in_sessions_is_ended_whole(system: RealSystem, tmp_path: Path) -> None:
    system.up(define(tmp_path, sh("p", STUBBORN)))
    system.wait(lambda: len([pid for pid in system.survivors()]) >= 6)
    system.cli("down", "--stack", system.stack)
    assert system.census.replicas() == {}
    system.act("start", "a")
    system.kill("a/p/0")
    system.wait(lambda: settled(system, 1))


def test_output_of_every_kind_is_kept(system: RealSystem, tmp_path: Path) -> None:
    program = (
        "import os, sys, time\n"
        "os.write(1, b'y' * 1_000_000 + b'\\n')\n"
        "os.write(1, bytes(range(256)) + b'\\n')\n"
        "os.write(2, b'last words')\n"
        "os.close(1); os.close(2)\n"
        "time.sleep(1000)\n"
    )
    (tmp_path / "printer.py").write_text(program)
    system.up(define(tmp_path, f"Process(name='p', command=[{sys.executable!r}, 'printer.py'])"))

    def lines() -> list[str]:
        return [record["msg"] for record in system.json("logs", "a", "--stack", system.stack, "-n", "1000")]

    system.wait(lambda: "last words" in lines())
    text = "".join(lines())
    assert "yyy...[cut]" in text and text.count("y") >= MAX_LINE and "ABC" in text
    assert settled(system, 1)
    system.act("restart", "a/p")
    assert settled(system, 1)


def test_a_port_that_is_taken_is_named_and_used_when_it_is_free(system: RealSystem, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(WORKER)
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        port = foreign.getsockname()[1]
        web = f"Process(name='web', module='work', transports=Transports(http=Http(port={port})))"
        path = str(define(tmp_path, web))
        done = system.cli("up", path, check=False)
        assert done.returncode in (1, 3) and str(port) in done.stderr and "fix:" in done.stderr
    began = time.monotonic()
    system.cli("up", path)
    assert time.monotonic() - began < 30
    system.cli("down")
