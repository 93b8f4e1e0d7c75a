"""Daemon and keeper with 20 children and nothing to do."""

import time

from benchmarks.harness.row import Row
from benchmarks.harness.shop import write_sleepers
from benchmarks.peers.driver import cpu_s
from omnitron.supervise.processinfo import read_pss
from omnitron.testing.real import RealSystem


def run(quick: bool) -> list[Row]:
    seconds = 3.0 if quick else 30.0
    with RealSystem() as system:
        system.up(write_sleepers(20))
        pids = [system.pid("daemon"), system.pid("keeper:sleepers")]
        time.sleep(1.0 if quick else 5.0)
        before = [cpu_s(pid) for pid in pids]
        time.sleep(seconds)
        used = [cpu_s(pid) - was for pid, was in zip(pids, before, strict=True)]
        pss = [(read_pss(pid) or 0) / 2**20 for pid in pids]
    own = f"daemon {used[0] * 1000:.1f} ms, keeper {used[1] * 1000:.1f} ms"
    percent = 100 * sum(used) / seconds
    return [
        Row(
            name="memory of daemon + keeper, PSS",
            value=sum(pss),
            unit="MiB",
            limit=40,
            note=f"daemon {pss[0]:.1f}, keeper {pss[1]:.1f}",
        ),
        Row(
            name="CPU of daemon + keeper",
            value=percent,
            unit="% of a core",
            limit=0.05,
            note=f"over {seconds:.0f} s, nobody asking; {own}",
        ),
    ]
