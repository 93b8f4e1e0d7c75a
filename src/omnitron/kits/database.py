"""`Database`: SQLAlchemy 2 on asyncpg for DATABASE_URL, injected by type.

Postgres may restart at any time. A connection that was lost shows as `DatabaseUnavailable`, which is a ConnectionError
whatever layer noticed it; `retry_transient` runs a unit of work again when it did. `numeric` is `Decimal` both ways.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Self, TypeVar

from omnitron.base.clock import Clock, SystemClock
from omnitron.base.errors import DefinitionError, OmnitronError
from omnitron.base.extras import missing_extra
from omnitron.base.rand import Rand, SystemRand
from omnitron.control.provide import ProvideContext

try:
    import asyncpg
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError, DBAPIError
    from sqlalchemy.exc import TimeoutError as PoolTimeoutError
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
except ModuleNotFoundError as error:
    raise missing_extra("omnitron.kits.database", "postgres", error) from None

T = TypeVar("T")
log = logging.getLogger("omnitron.database")

POOL_SIZE: Final = 5  # connections a replica keeps
POOL_EXTRA: Final = 10  # more of them under load; Postgres allows 100 by default, to all replicas together
POOL_TIMEOUT_S: Final = 10.0  # how long to wait for a free one
CONNECT_TIMEOUT_S: Final = 5.0
RECYCLE_S: Final = 3600
RETRY_FOR_S: Final = 30.0
BACKOFF_FIRST_S: Final = 0.05
BACKOFF_MAX_S: Final = 2.0

_TRANSIENT: Final = (
    asyncpg.PostgresConnectionError,  # class 08
    asyncpg.CannotConnectNowError,  # starting up, shutting down
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.TooManyConnectionsError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
)
_DRIVER_ERRORS: Final = (DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError)
_CLOSED: Final = ("connection is closed", "connection was closed", "connection has been", "closed in the middle")


class DatabaseUnavailable(OmnitronError, ConnectionError):
    """Postgres can not be reached, went away, or gave up the transaction; a commit under way may have happened."""

    code = "database_unavailable"


class Database:
    """The app's database. Use `transaction` for SQL, `session` for the ORM, `raw` for COPY and unnest."""

    def __init__(self, url: str, *, clock: Clock | None = None, rand: Rand | None = None) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise DefinitionError(
                f"DATABASE_URL can not be used: {error}", remedy="Write postgresql://user:password@host:port/database."
            ) from None
        if parsed.get_backend_name() not in ("postgresql", "postgres"):
            raise DefinitionError(
                f"DATABASE_URL names {parsed.get_backend_name()!r}.", remedy="The database kit is for postgresql://."
            )
        self._clock, self._rand = clock or SystemClock(), rand or SystemRand()
        self.engine: AsyncEngine = create_async_engine(
            parsed.set(drivername="postgresql+asyncpg"),
            pool_size=POOL_SIZE,
            max_overflow=POOL_EXTRA,
            pool_timeout=POOL_TIMEOUT_S,
            pool_recycle=RECYCLE_S,
            pool_pre_ping=True,
            connect_args={"timeout": CONNECT_TIMEOUT_S},
        )

    @classmethod
    async def __omnitron_provide__(cls, ctx: ProvideContext) -> AsyncIterator[Self]:
        url = ctx.environ.get("DATABASE_URL")
        if not url:
            raise DefinitionError(
                "Database is injected, but DATABASE_URL is not set.",
                remedy="Add needs=Needs(database=True) to the system.",
            )
        database = cls(url, clock=ctx.clock, rand=ctx.rand)
        try:
            yield database
        finally:
            await database.close()

    async def close(self) -> None:
        await self.engine.dispose()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """An ORM session in one transaction: committed at the end of the block, rolled back if it raises."""
        async with self._connection() as connection:
            async with AsyncSession(connection, expire_on_commit=False) as session, session.begin():
                yield session

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A connection in one transaction: committed at the end of the block, rolled back if it raises."""
        async with self._connection() as connection, connection.begin():
            yield connection

    @asynccontextmanager
    async def raw(self) -> AsyncIterator[Any]:
        """The pool's `asyncpg.Connection` in one transaction, for COPY and arrays."""
        async with self._connection() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            async with driver.transaction():
                yield driver

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        """From the pool. An OSError of connecting is Postgres's, one raised in the block is the app's own business."""
        with _typed_errors((OSError, TimeoutError, PoolTimeoutError, *_DRIVER_ERRORS)):
            connection = await self.engine.connect()
        try:
            with _typed_errors(_DRIVER_ERRORS):
                yield connection
        finally:
            await connection.close()

    async def retry_transient(self, work: Callable[[], Awaitable[T]], *, for_s: float = RETRY_FOR_S) -> T:
        """Await `work()`, again after DatabaseUnavailable, for about `for_s` seconds; then that error is raised.

        The work is run from its beginning and may have happened before: it must be idempotent, as an upsert is.
        """
        until = self._clock.monotonic() + for_s
        delay = BACKOFF_FIRST_S
        while True:
            try:
                return await work()
            except DatabaseUnavailable as error:
                if self._clock.monotonic() + delay > until:
                    raise
                log.warning("%s Trying again.", error)
                await self._clock.sleep(delay * (0.5 + self._rand.random() / 2))
                delay = min(BACKOFF_MAX_S, delay * 2)


@contextmanager
def _typed_errors(kinds: tuple[type[BaseException], ...]) -> Iterator[None]:
    try:
        yield
    except kinds as error:
        if not is_transient(error):
            raise
        raise DatabaseUnavailable(f"Postgres is not available: {error.__cause__ or error}.") from error


def is_transient(error: BaseException) -> bool:
    """Whether it says that the connection was lost, or that the transaction may be tried again."""
    if isinstance(error, DBAPIError):
        cause = error.orig.__cause__ if error.orig is not None else None
        return error.connection_invalidated or (cause is not None and is_transient(cause))
    if isinstance(error, asyncpg.InterfaceError):
        return any(words in str(error) for words in _CLOSED)
    return isinstance(error, (*_TRANSIENT, OSError, TimeoutError, PoolTimeoutError))
