import asyncio
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import asyncpg
from kit_servers import Context, PostgresServer, RedisServer, eventually
from kit_worker import TABLES, TRADES, Trade
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from omnitron.kits.streams import Streams

COUNT = 8_000


class Workers:
    """Consumer processes by slot."""

    def __init__(self, redis: RedisServer, postgres: PostgresServer) -> None:
        self.urls = (redis.url, postgres.url)
        self.processes: dict[int, subprocess.Popen[bytes]] = {}

    def start(self, slot: int) -> None:
        script = Path(__file__).with_name("kit_worker.py")
        self.processes[slot] = subprocess.Popen(
            [sys.executable, str(script), *self.urls, f"m/writer/{slot}"], stdout=subprocess.PIPE
        )

    async def kill_in_the_middle(self, slot: int) -> None:
        """While it has a batch in hand: looked at while it is stopped."""
        output = self.processes[slot].stdout
        assert output is not None and await asyncio.to_thread(output.readline) == b"ready\n"
        redis = Redis.from_url(self.urls[0])

        async def caught() -> bool:
            self.processes[slot].send_signal(signal.SIGSTOP)
            try:
                members = await redis.xinfo_consumers("trades", "writers")
            except ResponseError:  # no group yet
                members = []
            if any(m["name"].decode() == f"m/writer/{slot}" and m["pending"] > 0 for m in members):
                return True
            self.processes[slot].send_signal(signal.SIGCONT)
            return False

        await eventually(caught)
        self.kill(slot)
        await redis.aclose()

    def kill(self, slot: int) -> None:
        process = self.processes.pop(slot)
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


async def test_every_trade_counts_once_whatever_is_killed(
    context: Callable[..., Context], redis_server: RedisServer, postgres_server: PostgresServer
) -> None:
    """Two consumers, killed in turn and one for good; Redis killed too. The producer is this process."""
    random.seed(7)
    trades = [Trade(n, Decimal(random.randrange(1, 10**9)) / 1000) for n in range(COUNT)]
    db = await asyncpg.connect(postgres_server.url)
    await db.execute(TABLES)
    workers = Workers(redis_server, postgres_server)
    try:
        async with asyncio.timeout(60), asynccontextmanager(Streams.__omnitron_provide__)(context("m/c/0")) as streams:
            producer = streams.producer(TRADES)

            async def produce() -> None:
                for trade in trades:
                    await producer.put(trade)
                    if trade.trade_id % 16 == 0:
                        await asyncio.sleep(0.008)
                await producer.flush()

            producing = asyncio.ensure_future(produce())
            workers.start(0)
            workers.start(1)
            for slot in (0, 1, 0, 1):
                await asyncio.sleep(0.9)
                workers.kill(slot)
                workers.start(slot)
            redis_server.kill()
            redis_server.start()
            await workers.kill_in_the_middle(1)  # and it does not come back: what it had in hand is taken over
            await producing

            async def all_there() -> bool:
                return bool(await db.fetchval("SELECT count(*) FROM trade") == COUNT)

            await eventually(all_there, timeout=30)
        total = await db.fetchrow("SELECT n, price FROM total")
        assert total["n"] == COUNT
        assert total["price"] == sum(t.price for t in trades)
    finally:
        for slot in list(workers.processes):
            workers.kill(slot)
        await db.close()
