"""Roles and databases in Postgres.

An app's role owns its database and can connect to no other, since CONNECT is taken from everybody else. What is there
already is brought to the same state, passwords included; nothing is ever dropped.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg

from omnitron.base.errors import DefinitionError, Refused
from omnitron.base.names import suggest
from omnitron.infra.drivers.ready import NotYet, refused, until_ready
from omnitron.infra.drivers.scram import scram_verifier
from omnitron.infra.plan import Client, ServicePlan
from omnitron.infra.settle import Settled, server_url
from omnitron.infra.steps import Say
from omnitron.infra.urls import with_database

CONNECT_TIMEOUT: Final = 10.0  # seconds for one try
LOCK_TIMEOUT: Final = 30_000  # milliseconds until another provision must have ended
LOCK_KEY: Final = 0x6F6D6E69  # "omni": of the advisory lock in the database `postgres`


@asynccontextmanager
async def _connected(plan: ServicePlan, url: str) -> AsyncIterator[Any]:
    db = await until_ready(plan, lambda: _connect(plan, url))
    try:
        yield db
    finally:
        await db.close()


async def _connect(plan: ServicePlan, url: str) -> Any:
    try:
        return await asyncpg.connect(url, timeout=CONNECT_TIMEOUT)
    except (asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError, OSError) as error:
        raise NotYet(str(error) or type(error).__name__) from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise refused(plan, error) from None


async def _version(db: Any) -> str:
    return f"PostgreSQL {(await db.fetchval('SHOW server_version')).split()[0]}"


async def provision_postgres(plan: ServicePlan, settled: Settled, say: Say) -> tuple[str, list[str]]:
    """(version of the server, databases made now)."""
    admin = server_url(plan, settled)
    if plan.shared:
        async with _connected(plan, admin) as db:
            return await _version(db), []
    created = []
    async with _connected(plan, with_database(admin, "postgres")) as db:
        await db.execute(f"SET lock_timeout = {LOCK_TIMEOUT}")
        await db.execute(f"SELECT pg_advisory_lock({LOCK_KEY})")
        if plan.native:
            await db.execute("REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC")
        for client in plan.clients:
            await _role(db, plan, client, settled.passwords[client.app])
            if await _database(db, plan, client):
                say(f"made the database {client.database}")
                created.append(client.database)
            await _extensions(plan, with_database(admin, client.database), client)
        return await _version(db), created


async def _role(db: Any, plan: ServicePlan, client: Client, password: str) -> None:
    role = _quoted(client.database)
    exists = await db.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", client.database)
    try:
        await db.execute(f"{'ALTER' if exists else 'CREATE'} ROLE {role} LOGIN PASSWORD '{scram_verifier(password)}'")
        if not plan.native:
            await db.execute(f"GRANT {role} TO CURRENT_USER")  # a managed server's administrator is no superuser
    except asyncpg.InsufficientPrivilegeError as error:
        raise Refused(
            f"{plan.name}: the user of its url may not make the role {client.database!r}: {error}.",
            remedy="Grant it CREATEDB and CREATEROLE, or name one database in the url to use it as it is.",
        ) from None


async def _database(db: Any, plan: ServicePlan, client: Client) -> bool:
    """Whether it was made now."""
    name = _quoted(client.database)
    owner = await db.fetchval("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = $1", client.database)
    if owner is None:
        await db.execute(f"CREATE DATABASE {name} OWNER {name} TEMPLATE template0")
    elif owner != client.database:
        raise Refused(
            f"{plan.name} has a database {client.database!r} that belongs to {owner!r}, not to app {client.app!r}.",
            remedy="Give the app's another name: Needs(database=Database(name=...)).",
        )
    await db.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
    return owner is None


async def _extensions(plan: ServicePlan, url: str, client: Client) -> None:
    if not client.extensions:
        return
    async with _connected(plan, url) as db:
        for name in client.extensions:
            try:
                await db.execute(f"CREATE EXTENSION IF NOT EXISTS {_quoted(name)}")
            except (asyncpg.UndefinedFileError, asyncpg.FeatureNotSupportedError):
                known = [
                    row["name"] for row in await db.fetch("SELECT name FROM pg_available_extensions ORDER BY name")
                ]
                raise DefinitionError(
                    f"App {client.app!r} needs the extension {name!r}, and {await _version(db)} has none of that name."
                    + suggest(name, known),
                    remedy=f"Install it where the server finds it. There are: {', '.join(known)}.",
                ) from None
            except asyncpg.InsufficientPrivilegeError as error:
                raise Refused(f"The extension {name!r} of app {client.app!r} can not be made: {error}.") from None


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
