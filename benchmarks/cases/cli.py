"""How long a command takes."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles

from benchmarks.harness.row import Row
from benchmarks.harness.shop import write_sleepers
from omnitron.testing.real import RealSystem

IMPORT = "import time; begin = time.perf_counter(); import omnitron; print((time.perf_counter() - begin) * 1000)"


def run(quick: bool) -> list[Row]:
    times = 5 if quick else 25
    python, script = [sys.executable, "-c", "pass"], str(Path(sys.executable).with_name("omnitron"))
    with RealSystem() as system:
        system.up(write_sleepers(20))
        status = [script, "status", "--stack", system.stack]
        pairs = [(_wall(status, system.env), _wall(python, system.env)) for _ in range(times)]
        imports = [_import(system.env) for _ in range(times)]
    ours = [found for found, _ in pairs]
    return [
        Row(name="`omnitron status`, wall", value=median(ours), p95=_p95(ours), unit="ms", peer="python -c pass",
            peer_value=median([bare for _, bare in pairs]), limit=150, note="20 processes"),
        Row(name="`import omnitron`", value=median(imports), p95=_p95(imports), unit="ms", limit=80,
            note="inside a fresh interpreter"),
    ]  # fmt: skip


def _p95(values: list[float]) -> float:
    return quantiles(values, n=20)[-1]


def _wall(command: Sequence[str], env: dict[str, str]) -> float:
    begin = time.perf_counter()
    subprocess.run(command, env=env, check=True, stdout=subprocess.DEVNULL)
    return (time.perf_counter() - begin) * 1000


def _import(env: dict[str, str]) -> float:
    done = subprocess.run([sys.executable, "-c", IMPORT], env=env, check=True, capture_output=True, text=True)
    return float(done.stdout)
