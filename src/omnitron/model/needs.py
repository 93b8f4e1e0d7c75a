"""What an app needs from the infrastructure of its stack."""

import msgspec

from omnitron.base.names import check_name


class Database(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A database and a role of its own in the stack's Postgres.

    migrations: folder of Alembic revisions, relative to the app's cwd; run once, before the app starts, under a lock.
    extensions: to create, such as "pgcrypto". name: of the database; None: the app's name.
    """

    migrations: str | None = None
    extensions: tuple[str, ...] = ()
    name: str | None = None


class Needs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """database: injected as DATABASE_URL. redis: injected as REDIS_URL. s3: injected as S3_*.

    services: names of further infrastructure services that must be ready first.
    """

    database: bool | Database = False
    redis: bool = False
    s3: bool = False
    services: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "services", tuple(check_name(n, "service") for n in self.services))

    @property
    def database_options(self) -> Database | None:
        """The options if a database is needed, else None."""
        return self.database if isinstance(self.database, Database) else Database() if self.database else None
