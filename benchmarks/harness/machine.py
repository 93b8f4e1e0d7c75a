"""The machine the figures come from, and how busy others keep it."""

import os
import platform
import subprocess
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

QUIET: Final = 0.08  # share of the machine others may use
SAMPLE_S: Final = 2.0


def load() -> float:
    """The 1-minute load average."""
    return os.getloadavg()[0]


def busy() -> float:
    """Share of the machine that is in use, over SAMPLE_S in which the caller sleeps."""
    before = _times()
    time.sleep(SAMPLE_S)
    after = _times()
    total = sum(after) - sum(before)
    idle = (after[3] + after[4]) - (before[3] + before[4])  # idle and waiting for input
    return 1 - idle / total if total else 0.0


def _times() -> list[int]:
    return [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]


def wait_quiet(at_most_s: float) -> float:
    """Wait until others use less than QUIET of the machine, but not for ever; what they used at last."""
    deadline = time.monotonic() + at_most_s
    while (used := busy()) > QUIET and time.monotonic() < deadline:
        time.sleep(SAMPLE_S)
    return used


def describe(packages: Sequence[str]) -> dict[str, str]:
    """What to print below a table."""
    found = {
        "cpu": f"{os.cpu_count()} × {_cpu_model()}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": _commit(),
        "priority": "raised (nice -10)" if os.geteuid() == 0 else "normal",
    }
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude", "*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent)
    return done.stdout.strip() or "unknown"
