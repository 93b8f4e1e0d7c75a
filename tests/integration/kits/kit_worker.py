"""A consumer process to be killed: kit_worker.py REDIS_URL DATABASE_URL REPLICA. Counts every trade exactly once."""

import asyncio
import sys
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
from kit_servers import Context

from omnitron.kits.database import Database
from omnitron.kits.streams import Batch, Stream, Streams
from omnitron.kits.streams.runner import deliver


class Trade(msgspec.Struct, frozen=True):
    trade_id: int
    price: Decimal


TRADES = Stream("trades", type=Trade, max_len=1_000_000, durable=True, dedup_key=lambda t: str(t.trade_id))
TABLES = """
DROP TABLE IF EXISTS trade, total;
CREATE TABLE trade (id bigint PRIMARY KEY, price numeric NOT NULL);
CREATE TABLE total (n bigint NOT NULL, price numeric NOT NULL);
INSERT INTO total VALUES (0, 0);
"""
WRITE = """
WITH new AS (INSERT INTO trade SELECT * FROM unnest($1::bigint[], $2::numeric[]) ON CONFLICT DO NOTHING RETURNING price)
UPDATE total SET n = total.n + new.n, price = total.price + new.price
FROM (SELECT count(*) AS n, coalesce(sum(price), 0) AS price FROM new) AS new
"""


async def main(redis_url: str, database_url: str, replica: str) -> None:
    ctx = Context({"REDIS_URL": redis_url, "DATABASE_URL": database_url}, Path("."), replica)
    async with (
        asynccontextmanager(Streams.__omnitron_provide__)(ctx) as streams,
        asynccontextmanager(Database.__omnitron_provide__)(ctx) as database,
    ):

        async def write(batch: Batch[Trade]) -> None:
            async with database.raw() as driver:
                await driver.execute(WRITE, [t.trade_id for t in batch], [t.price for t in batch])
            await asyncio.sleep(0.002)  # time to be killed between the commit and the acknowledgement

        print("ready", flush=True)
        async for batch in streams.consumer(TRADES, group="writers", batch=100, dead_after=3):
            await deliver(batch, write, 5, ctx.clock, ctx.rand)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
