"""kill -9 of the daemon under 300 requests a second, and another one started at once."""

import time
from statistics import median

from benchmarks.harness.load import Load
from benchmarks.harness.row import Row
from benchmarks.harness.shop import write_shop
from omnitron.cli.connect import start_daemon
from omnitron.testing.real import RealSystem


def run(quick: bool) -> list[Row]:
    times, took = 2 if quick else 10, []
    folder = write_shop()
    with RealSystem() as system:
        system.up(folder)
        load = Load(f"{system.url('shop/http')}/ask")
        with system.census.watching() as twice, load.running():
            for _ in range(times):
                time.sleep(0.5)
                before, began = system.pids(), time.monotonic()
                system.kill("daemon")
                start_daemon(system.home)
                system.wait(lambda before=before: system.app("shop").state == "ready" and system.pids() == before)
                took.append((time.monotonic() - began) * 1000)
    return [
        Row(name="killed → a new one has adopted all", value=median(took), p95=max(took), unit="ms", limit=200,
            note=f"of {times} kills (p95: the worst); the new daemon's start, whole, is in it"),
        Row(name="calls lost meanwhile", value=len(load.lost), unit="requests", limit=0,
            note=f"of {len(load.answers):,}, HTTP → pool"),
        Row(name="longest wait for an answer", value=load.longest_ms(), unit="ms"),
        Row(name="replicas seen twice", value=len(twice), unit="samples", limit=0),
    ]  # fmt: skip
