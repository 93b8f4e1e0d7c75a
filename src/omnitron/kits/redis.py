"""`Redis`: the redis-py client of this app, with bounds, injected by type.

A restart of Redis is felt as latency only: commands on a lost connection are tried again for about RETRIES seconds.
redis-py can not know whether a lost command was executed, so a command that adds (INCR, RPUSH) may happen twice; where
that matters, write what is wanted (SET, HSET) or use a script.
"""

from collections.abc import AsyncIterator
from typing import Final, Self, cast

from omnitron.base.errors import DefinitionError
from omnitron.base.extras import missing_extra
from omnitron.control.provide import ProvideContext

try:
    from redis.asyncio import BlockingConnectionPool
    from redis.asyncio import Redis as Client
    from redis.asyncio.retry import Retry
    from redis.backoff import ExponentialWithJitterBackoff
    from redis.exceptions import BusyLoadingError, ConnectionError, TimeoutError
except ModuleNotFoundError as error:
    raise missing_extra("omnitron.kits.redis", "redis", error) from None

MAX_CONNECTIONS: Final = 50
POOL_TIMEOUT_S: Final = 5.0  # how long a command waits for a free connection
CONNECT_TIMEOUT_S: Final = 5.0
COMMAND_TIMEOUT_S: Final = 10.0
HEALTH_CHECK_S: Final = 30
RETRIES: Final = 15  # times; with the back-off below together about fifteen seconds
BACKOFF_FIRST_S: Final = 0.05
BACKOFF_MAX_S: Final = 1.0


class Redis(Client):
    """`redis.asyncio.Redis` for REDIS_URL; answers are bytes. Everything of redis-py's documentation applies.

    The app's keys are its own: the URL names its database. For streams use the streams kit, which is faster.
    """

    @classmethod
    def connect(cls, url: str) -> Self:
        """A client with the kit's bounds; connects when first used."""
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=MAX_CONNECTIONS,
            timeout=POOL_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            socket_timeout=COMMAND_TIMEOUT_S,
            health_check_interval=HEALTH_CHECK_S,
            retry=Retry(ExponentialWithJitterBackoff(base=BACKOFF_FIRST_S, cap=BACKOFF_MAX_S), RETRIES),
            retry_on_error=[ConnectionError, TimeoutError, BusyLoadingError, OSError],
        )
        return cast(Self, cls.from_pool(pool))

    @classmethod
    async def __omnitron_provide__(cls, ctx: ProvideContext) -> AsyncIterator[Self]:
        url = ctx.environ.get("REDIS_URL")
        if not url:
            raise DefinitionError(
                "Redis is injected, but REDIS_URL is not set.", remedy="Add needs=Needs(redis=True) to the system."
            )
        client = cls.connect(url)
        try:
            yield client
        finally:
            await client.aclose()
