"""Keeps a number in Postgres and in Redis. Twice is as good as once, so it may be tried again."""

import os

from omnitron import rpc, service
from omnitron.kits.database import Database
from omnitron.kits.redis import Redis


@service("keeping@1.0.0")
class Keeping:
    def __init__(self, database: Database, redis: Redis) -> None:
        self._database, self._redis = database, redis

    @rpc(idempotent=True, deadline="50s")
    async def keep(self, number: int) -> dict[str, int]:
        await self._database.retry_transient(lambda: self._insert(number))
        await self._redis.sadd("kept", number)
        return {"number": number, "worker": os.getpid()}

    async def _insert(self, number: int) -> None:
        async with self._database.raw() as connection:
            await connection.execute("INSERT INTO kept VALUES ($1) ON CONFLICT DO NOTHING", number)

    @rpc(idempotent=True)
    async def kept(self) -> dict[str, list[int]]:
        """What each of them holds."""
        async with self._database.raw() as connection:
            rows = await connection.fetch("SELECT number FROM kept")
        members = await self._redis.smembers("kept")
        return {"database": [row["number"] for row in rows], "redis": [int(member) for member in members]}
