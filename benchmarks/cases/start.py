"""20 trivial commands, from the request until the operator is told that all of them run."""

import asyncio
import shutil
import time
from pathlib import Path
from statistics import median

from benchmarks.harness.row import Row
from benchmarks.harness.shop import write_sleepers
from benchmarks.peers import supervisord
from benchmarks.supervision.bench_keeper import start_twenty
from omnitron.base.errors import OmnitronError
from omnitron.cli.connect import connect
from omnitron.cli.definition import describe
from omnitron.testing.real import RealSystem

COUNT = 20


def run(quick: bool) -> list[Row]:
    times = 2 if quick else 5
    warm, cold, keeper, bare = [], [], [], []
    for _ in range(times):  # in turns
        bare.append(asyncio.run(_bare()))
        warm.append(_warm())
        cold.append(_cold())
        keeper.append(asyncio.run(start_twenty()))
    floor, loop = median(bare), "bare asyncio loop"
    rows = [
        Row(
            name="added by `up` to a warm daemon and keeper",
            value=median(warm),
            unit="ms",
            peer=loop,
            peer_value=floor,
            limit=60,
            note="through the API: plan, save, apply, start, look after 20 ms whether they stay up, report",
        ),
        Row(name="first `apply` to a warm keeper", value=median(keeper), unit="ms", peer=loop, peer_value=floor),
    ]
    if supervisord.AVAILABLE:
        peer = median([supervisord.start(COUNT) for _ in range(times)])
        rows += [
            Row(
                name="cold: `omnitron up`, no daemon yet",
                value=median(cold),
                unit="ms",
                peer="supervisord",
                peer_value=peer,
                note="the whole command; the peer from its start until 20 children run",
            )
        ]
    else:
        rows += [Row(name="cold: `omnitron up`, no daemon yet", value=median(cold), unit="ms")]
    return rows


async def _bare() -> float:
    """The least: start them."""
    begin = time.perf_counter()
    children = [await asyncio.create_subprocess_exec("/bin/sleep", "1000") for _ in range(COUNT)]
    took = (time.perf_counter() - begin) * 1000
    for child in children:
        child.kill()
        await child.wait()
    return took


def _warm() -> float:
    one, all_of_them = write_sleepers(1), write_sleepers(1 + COUNT)
    with RealSystem() as system:
        system.up(one)
        shutil.copy(all_of_them, one)
        description = describe(str(one))
        with connect(system.home) as daemon:
            begin = time.perf_counter()
            for step in daemon.up(description, system.stack):
                if step.failed:
                    raise OmnitronError(f"{step.subject}: {step.detail}")
            took = (time.perf_counter() - begin) * 1000
        assert len(system.pids()) == 1 + COUNT
        return took


def _cold() -> float:
    path: Path = write_sleepers(COUNT)
    with RealSystem() as system:
        begin = time.perf_counter()
        system.up(path)
        return (time.perf_counter() - begin) * 1000
