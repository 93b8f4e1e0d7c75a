"""Rolling reloads to new code under 300 requests a second, HTTP -> pool: what is lost, how long anybody waits."""

import time
from statistics import median

from benchmarks.harness.load import Load
from benchmarks.harness.row import Row
from benchmarks.harness.shop import set_version, write_shop
from omnitron.testing.real import RealSystem


def run(quick: bool) -> list[Row]:
    rows = []
    for keep in (True, False):
        rows += _reloads(1 if quick else 8, keep)
    return rows


def _reloads(times: int, keep: bool) -> list[Row]:
    mode = "keep-alive" if keep else "a connection per request"
    folder, stale, took = write_shop(), 0, []
    with RealSystem() as system:
        system.up(folder)
        load = Load(f"{system.url('shop/http')}/ask", keep=keep)
        with load.running():
            time.sleep(1)
            for number in range(1, times + 1):
                version, begin = set_version(folder, number), time.monotonic()
                system.up(folder)
                done = time.monotonic()
                took.append(done - begin)
                time.sleep(1)
                stale += load.stale(done, version)
    note = f"{len(load.answers):,} requests, {times} reloads of both processes" + "".join(
        f"; {answer.error}" for answer in load.lost[:3]
    )
    return [
        Row(name=f"lost, {mode}", value=len(load.lost), unit="requests", limit=0, note=note),
        Row(name=f"answered by old code afterwards, {mode}", value=stale, unit="requests", limit=0),
        Row(name=f"longest wait for an answer, {mode}", value=load.longest_ms(), unit="ms", limit=50),
        Row(name=f"new code in all replicas, {mode}", value=median(took) * 1000, unit="ms",
            note="`omnitron up` from its start to its end"),
    ]  # fmt: skip
