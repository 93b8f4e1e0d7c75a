import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import asyncpg
import pytest
from kit_servers import Context, PostgresServer
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from omnitron.base.errors import DefinitionError
from omnitron.kits.database import Database, DatabaseUnavailable


class Base(DeclarativeBase):
    pass


class Candle(Base):
    __tablename__ = "candle"
    symbol: Mapped[str] = mapped_column(primary_key=True)
    close: Mapped[Decimal]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    ctx = Context({"DATABASE_URL": url}, Path("/nowhere"))
    async with asyncio.timeout(30), asynccontextmanager(Database.__omnitron_provide__)(ctx) as database:
        yield database


@pytest.fixture
async def database(postgres_server: PostgresServer) -> AsyncIterator[Database]:
    async with opened(postgres_server.url) as database:
        async with database.transaction() as c:
            await c.execute(text("DROP TABLE IF EXISTS candle"))
            await c.execute(text("CREATE TABLE candle (symbol text PRIMARY KEY, close numeric NOT NULL)"))
        yield database


async def closes(database: Database) -> list[Decimal]:
    async with database.transaction() as c:
        return [row.close for row in await c.execute(text("SELECT close FROM candle ORDER BY symbol"))]


EXACT = Decimal("64231.123456789012345678901234567890")


async def test_numbers_are_exact_by_every_way_in(database: Database) -> None:
    async with database.session() as session:
        session.add(Candle(symbol="A", close=EXACT))
    async with database.transaction() as c:
        await c.execute(text("INSERT INTO candle VALUES ('B', :close)"), {"close": EXACT})
    async with database.raw() as driver:
        await driver.copy_records_to_table("candle", records=[("C", EXACT)])
        await driver.execute("INSERT INTO candle SELECT * FROM unnest($1::text[], $2::numeric[])", ["D"], [EXACT])
    assert await closes(database) == [EXACT] * 4


async def test_a_block_that_raises_leaves_nothing_behind(database: Database) -> None:
    for opener in (database.session, database.transaction, database.raw):
        with pytest.raises(ZeroDivisionError):
            async with opener() as c:
                statement = "INSERT INTO candle VALUES ('A', 1)"
                await c.execute(statement if opener == database.raw else text(statement))
                raise ZeroDivisionError
    assert await closes(database) == []


async def test_an_error_of_the_app_stays_what_it_is(database: Database) -> None:
    with pytest.raises(FileNotFoundError):
        async with database.transaction():
            raise FileNotFoundError("not the database's business")
    with pytest.raises(IntegrityError):
        async with database.transaction() as c:
            await c.execute(text("INSERT INTO candle VALUES ('A', 1), ('A', 2)"))
    with pytest.raises(asyncpg.UniqueViolationError):
        async with database.raw() as driver:
            await driver.execute("INSERT INTO candle VALUES ('A', 1), ('A', 2)")


async def test_a_connection_killed_under_work_is_one_typed_error_and_the_next_works(
    database: Database, postgres_server: PostgresServer
) -> None:
    async def end_others() -> None:
        other = await asyncpg.connect(postgres_server.url)
        await other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
        await other.close()

    for opener in (database.session, database.transaction, database.raw):
        with pytest.raises(DatabaseUnavailable) as caught:
            async with opener() as c:
                statement = "SELECT 1"
                await c.execute(statement if opener == database.raw else text(statement))
                await end_others()
                await c.execute(statement if opener == database.raw else text(statement))
        assert isinstance(caught.value, ConnectionError)
        assert await closes(database) == []


async def test_a_restart_of_postgres_is_survived_by_retrying(
    database: Database, postgres_server: PostgresServer
) -> None:
    async def upsert() -> None:
        async with database.transaction() as c:
            await c.execute(text("INSERT INTO candle VALUES ('A', 1) ON CONFLICT DO NOTHING"))

    await upsert()
    postgres_server.stop(signal.SIGQUIT)  # as good as a kill, without leaving its children
    with pytest.raises(DatabaseUnavailable):
        await upsert()
    retried = asyncio.ensure_future(database.retry_transient(upsert))
    await asyncio.sleep(0.2)
    assert not retried.done()
    postgres_server.start()
    await retried
    assert await closes(database) == [Decimal(1)]


async def test_retrying_ends(postgres_server: PostgresServer) -> None:
    async with opened("postgresql://nobody@127.0.0.1:1/x") as database:

        async def work() -> None:
            async with database.transaction():
                pass

        with pytest.raises(DatabaseUnavailable):
            await database.retry_transient(work, for_s=0.2)


@pytest.mark.parametrize("url", ["", "mysql://h/x", "::"])
async def test_a_missing_or_foreign_url_says_what_to_write(url: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        async with opened(url):
            pass
    assert caught.value.remedy
