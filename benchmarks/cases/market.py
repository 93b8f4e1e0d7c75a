"""Example 01's path from tick to Postgres: stream producer -> Redis -> its stream-aggregator -> trades and sums.

The same is done with redis-py and asyncpg in a plain loop (peers/market_plain.py), with the same statement, on the same
servers, in turns.
"""

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import Any, Final

import asyncpg
import msgspec
from redis.asyncio import Redis

from benchmarks.harness.row import Row
from omnitron.base.clock import SystemClock
from omnitron.base.rand import SystemRand
from omnitron.cli.connect import connect
from omnitron.kits.streams import Streams
from omnitron.testing.real import RealSystem

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "01-stream-fan-in"
BATCH: Final = 1000
STORED_WITHIN_S: Final = 60.0
PLAIN_STREAM: Final = "plain"
SYSTEM: Final = """
from omnitron import Process, define_system
from omnitron.model.needs import Database, Needs
system = define_system(
    name="market", version="1.0.0", cwd="{example}",
    needs=Needs(database=Database(migrations="migrations"), redis=True),
    processes=[Process(name="stream-aggregator", module="market.aggregator")],
)
"""
Send = Callable[[Sequence[Any]], Awaitable[object]]


def run(quick: bool) -> list[Row]:
    sys.path.insert(0, str(EXAMPLE))
    folder = Path(tempfile.mkdtemp())
    (folder / "system.py").write_text(SYSTEM.format(example=EXAMPLE))
    with RealSystem() as system:
        system.up(folder)
        with connect(system.home) as daemon:
            env = daemon.env(system.stack, "market/stream-aggregator")
        count, times = (5_000, 1) if quick else (50_000, 5)
        pairs, stored = asyncio.run(_measure(env, count, times))
    note = (
        f"{count:,} trades in batches of {BATCH:,}, each stored once by its key. Ours also keeps each trade until it "
        "is on Redis's disk and sends none twice; the loop does neither"
    )
    return [
        Row(name="ticks/s, sent → stored in Postgres", value=median(ours for ours, _ in pairs), unit="/s",
            better="higher", peer="redis-py + asyncpg", peer_value=median(plain for _, plain in pairs), limit=50_000,
            note=note),
        Row(name="ticks/s, sent → stored in Postgres", value=median(ours for ours, _ in pairs), unit="/s",
            better="higher", peer="storing alone, no stream", peer_value=stored),
    ]  # fmt: skip


async def _measure(env: dict[str, str], count: int, times: int) -> tuple[list[tuple[float, float]], float]:
    """(ours, the loop's) for each time, and the rate of storing without a stream."""
    from market import tables
    from market.stream import TICKS

    redis = Redis.from_url(env["REDIS_URL"])
    await redis.xgroup_create(PLAIN_STREAM, "g", "0", mkstream=True)
    command = [
        sys.executable,
        "-m",
        "benchmarks.peers.market_plain",
        env["REDIS_URL"],
        env["DATABASE_URL"],
        str(EXAMPLE),
    ]
    plain = subprocess.Popen(command)  # noqa: ASYNC220 - returns at once
    connection = await asyncpg.connect(env["DATABASE_URL"])
    context = SimpleNamespace(
        environ=env, replica="market/bench/0", metrics={}, clock=SystemClock(), rand=SystemRand(), services=[],
        stack="test",
    )  # fmt: skip
    pairs: list[tuple[float, float]] = []
    try:
        async with asynccontextmanager(Streams.__omnitron_provide__)(context) as streams:
            producer = streams.producer(TICKS)
            await _rate(connection, producer.send_many, _trades("warm", BATCH))
            await _rate(connection, lambda trades: _xadd(redis, trades), _trades("warm-plain", BATCH))
            for number in range(times):
                ours = await _rate(connection, producer.send_many, _trades(f"o{number}", count))
                other = await _rate(connection, lambda trades: _xadd(redis, trades), _trades(f"p{number}", count))
                pairs.append((ours, other))
        stored = await _rate(connection, lambda trades: tables.store(connection, trades), _trades("s", count))
    finally:
        plain.kill()
        plain.wait()
        await connection.close()
        await redis.aclose()
    return pairs, stored


def _trades(run_name: str, count: int) -> list[Any]:
    from market.trades import Trade

    return [
        Trade(
            "binance", f"S{n % 8}-USDT", f"{run_name}-{n}", Decimal("64231.125"), Decimal("0.0125"), 10**15 + n * 1000
        )
        for n in range(count)
    ]


async def _rate(connection: Any, send: Send, trades: list[Any]) -> float:
    """Trades a second from the first sent until all are stored."""
    held = "SELECT coalesce(sum(trades), 0)::bigint FROM symbols"
    wanted = await connection.fetchval(held) + len(trades)
    begin = time.perf_counter()
    for first in range(0, len(trades), BATCH):
        await send(trades[first : first + BATCH])
    while await connection.fetchval(held) < wanted:
        if time.perf_counter() - begin > STORED_WITHIN_S:
            raise TimeoutError(f"{len(trades)} trades not stored within {STORED_WITHIN_S:.0f} s")
        await asyncio.sleep(0.002)
    return len(trades) / (time.perf_counter() - begin)


async def _xadd(redis: Redis, trades: Sequence[Any]) -> None:
    pipeline = redis.pipeline(transaction=False)
    for trade in trades:
        pipeline.xadd(PLAIN_STREAM, {"d": msgspec.msgpack.encode(trade)})
    await pipeline.execute()
