import asyncio
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from kit_servers import Context, RedisServer

from omnitron.base.errors import DefinitionError
from omnitron.kits.redis import MAX_CONNECTIONS, Redis


async def test_a_kill_and_restart_of_redis_is_only_a_delay(redis_server: RedisServer, tmp_path: Path) -> None:
    ctx = Context({"REDIS_URL": redis_server.url}, tmp_path)
    async with asyncio.timeout(30), asynccontextmanager(Redis.__omnitron_provide__)(ctx) as redis:
        await redis.set("a", 1)
        redis_server.kill()
        reading = asyncio.ensure_future(redis.get("a"))
        await asyncio.sleep(0.3)
        assert not reading.done()
        redis_server.start()
        assert await reading == b"1"


async def test_more_commands_than_connections_wait_for_one(redis_server: RedisServer, tmp_path: Path) -> None:
    ctx = Context({"REDIS_URL": redis_server.url}, tmp_path)
    async with asyncio.timeout(30), asynccontextmanager(Redis.__omnitron_provide__)(ctx) as redis:
        await asyncio.gather(*(redis.incr("n") for _ in range(4 * MAX_CONNECTIONS)))
        assert int(await redis.get("n")) == 4 * MAX_CONNECTIONS
        assert (await redis.info("clients"))["connected_clients"] <= MAX_CONNECTIONS


async def test_a_missing_url_says_what_to_write(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"Needs\(redis=True\)"):
        async with asynccontextmanager(Redis.__omnitron_provide__)(Context({}, tmp_path)):
            pass
