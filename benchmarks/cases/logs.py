"""200,000 lines of one child, until the last one is in its log."""

import asyncio
import json
import subprocess
import tempfile
import time
from statistics import median

from benchmarks.harness.row import Row
from benchmarks.supervision.bench_keeper import LINES, log_lines


def run(quick: bool) -> list[Row]:
    times = 1 if quick else 5
    pairs = [(asyncio.run(log_lines()), _floor()) for _ in range(times)]
    note = "each line checked afterwards: none lost, none torn"
    return [
        Row(name=f"{LINES:,} plain lines of one child → log", value=median(ours for ours, _ in pairs), unit="s",
            peer="a loop of print-to-JSON", peer_value=median(floor for _, floor in pairs), limit=0.4, note=note),
    ]  # fmt: skip


def _floor() -> float:
    """The least that writes a child's lines as records."""
    command = ["seq", "-f", "line %.0f of the log of a child", str(LINES)]
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w") as out, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            out.write(json.dumps({"t": time.time(), "level": "info", "msg": line[:-1]}) + "\n")
    return time.perf_counter() - begin
