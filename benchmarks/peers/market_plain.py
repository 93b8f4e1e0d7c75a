"""`python -m benchmarks.peers.market_plain REDIS_URL DATABASE_URL EXAMPLE`: the aggregator as a plain loop."""

import asyncio
import sys

import asyncpg
import msgspec
from redis.asyncio import Redis


async def main(redis_url: str, database_url: str) -> None:
    from market import tables
    from market.trades import Trade

    decode = msgspec.msgpack.Decoder(Trade).decode
    redis, connection = Redis.from_url(redis_url), await asyncpg.connect(database_url)
    while True:
        found = await redis.xreadgroup("g", "c", {"plain": ">"}, count=1000, block=1000)
        if found:
            entries = found[0][1]
            await tables.store(connection, [decode(fields[b"d"]) for _, fields in entries])
            await redis.xack("plain", "g", *[entry_id for entry_id, _ in entries])


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[3])
    asyncio.run(main(sys.argv[1], sys.argv[2]))
