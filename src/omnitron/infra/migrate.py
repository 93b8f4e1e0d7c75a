"""Bring an app's database up to date: `python -m omnitron.infra.migrate`, in the app's interpreter and folder.

Runs as the app's own role. An advisory lock makes several at once take turns; the later ones find nothing to do. A
folder may hold Alembic revisions, a whole Alembic environment (with `env.py`), or plain SQL files.
"""

import asyncio
import importlib.util
import logging
import os
from pathlib import Path
from typing import Any, Final

import asyncpg

from omnitron.base.errors import DefinitionError, OperationError
from omnitron.infra.requests import Migrated, MigrateRequest
from omnitron.infra.sql_files import apply_sql, migration_failed
from omnitron.infra.steps import Say, serve_step

LOCK_POLL: Final = (
    0.1  # seconds; waiting in a query would hold a snapshot, and CREATE INDEX CONCURRENTLY waits for those
)
LOCK_KEY: Final = 0x6D696772  # "migr": of the advisory lock in the app's database
_ENVIRONMENT: Final = Path(__file__).parent / "alembic_env"


async def migrate(request: MigrateRequest, say: Say) -> Migrated:
    """Raises DefinitionError, naming the revision, its file and the statement that failed."""
    folder, is_alembic = _look(request)
    try:
        db = await asyncpg.connect(request.url)
    except (asyncpg.PostgresError, OSError) as error:
        raise OperationError(f"The database of app {request.app!r} can not be reached: {error}.") from None
    try:
        say("waiting for the lock")
        while not await db.fetchval(f"SELECT pg_try_advisory_lock({LOCK_KEY})"):  # noqa: ASYNC110 - no event across hosts
            await asyncio.sleep(LOCK_POLL)
        applied = await _alembic(db, folder, request, say) if is_alembic else await apply_sql(db, folder, say)
    finally:
        await db.close()
    return Migrated(applied=tuple(applied))


def _look(request: MigrateRequest) -> tuple[Path, bool]:
    """The folder, and whether it is Alembic's."""
    folder = Path(request.folder).absolute()
    if not folder.is_dir():
        raise DefinitionError(
            f"App {request.app!r} declares migrations in {folder}, which is no folder.",
            remedy="Make it, or correct Database(migrations=...); the path is relative to the app's cwd.",
        )
    return folder, any(folder.glob("*.py")) or not any(folder.glob("*.sql"))


async def _alembic(db: Any, folder: Path, request: MigrateRequest, say: Say) -> list[str]:
    """Alembic runs in a thread, since its environments start an event loop of their own."""
    if importlib.util.find_spec("alembic") is None:
        raise OperationError(
            f"The migrations of app {request.app!r} are for Alembic, which is not installed in this interpreter.",
            remedy="Run `pip install 'omnitron[postgres]'` there.",
        )
    from alembic import command  # noqa: PLC0415 - optional extra
    from alembic.script import ScriptDirectory  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    config = _config(folder, request.url)
    before = await _heads(db)
    steps = _Steps(say)
    try:
        with steps:
            await asyncio.to_thread(command.upgrade, config, "head")
        script = ScriptDirectory.from_config(config)
        done = set(_closure(script, before))
        return [one for one in reversed(list(_closure(script, await _heads(db)))) if one not in done]
    except CommandError as error:
        raise DefinitionError(
            f"The migrations of app {request.app!r} in {folder} can not be applied: {error}.",
            remedy="`alembic heads` and `alembic history` show the graph; several heads need `alembic merge`.",
        ) from None
    except Exception as error:
        raise _failure(error, steps, ScriptDirectory.from_config(config)) from error


def _config(folder: Path, url: str) -> Any:
    from alembic.config import Config  # noqa: PLC0415 - optional extra

    own = folder / "env.py"
    ini = next((path for path in (folder / "alembic.ini", folder.parent / "alembic.ini") if path.exists()), None)
    config = Config(str(ini)) if own.exists() and ini else Config()
    if not own.exists():
        config.set_main_option("script_location", str(_ENVIRONMENT))
        config.set_main_option("version_locations", str(folder))
        config.set_main_option("path_separator", "newline")
        config.attributes["url"] = url
        return config
    os.environ["DATABASE_URL"] = url
    is_async = "async" in own.read_text()
    drivers = ["psycopg", "psycopg2"] if not is_async else []
    driver = next((name for name in drivers if importlib.util.find_spec(name)), "asyncpg")
    config.set_main_option("script_location", str(folder))
    with_driver = url.replace("postgresql://", f"postgresql+{driver}://", 1)
    config.set_main_option("sqlalchemy.url", with_driver.replace("%", "%%"))
    return config


class _Steps(logging.Handler):
    """Alembic logs each revision just before it runs it; the last one logged is the one that failed."""

    def __init__(self, say: Say) -> None:
        super().__init__()
        self.last = ""
        self._say = say
        self._logger = logging.getLogger("alembic.runtime.migration")

    def __enter__(self) -> None:
        self._logger.setLevel(logging.INFO)
        self._logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        step = record.args[0] if isinstance(record.args, tuple) and record.args else None
        revision = getattr(step, "to_revisions_no_deps", None) or getattr(step, "to_revisions", None)
        if revision:
            self.last = str(revision[0])
            self._say(f"applying {self.last}")


async def _heads(db: Any) -> list[str]:
    """Revisions the database is at."""
    if await db.fetchval("SELECT to_regclass('alembic_version')") is None:
        return []
    return [row["version_num"] for row in await db.fetch("SELECT version_num FROM alembic_version")]


def _closure(script: Any, heads: list[str]) -> list[str]:
    """The revisions from these heads down to the base, newest first."""
    return [one.revision for one in script.iterate_revisions(tuple(heads), "base")] if heads else []


def _failure(error: Exception, steps: _Steps, script: Any) -> DefinitionError:
    revision = script.get_revision(steps.last) if steps.last else None
    where = revision.path if revision is not None else "before the first revision"
    statement = getattr(error, "statement", None) or ""
    return migration_failed(steps.last or "of Alembic", where, getattr(error, "orig", None) or error, statement)


if __name__ == "__main__":
    serve_step(MigrateRequest, migrate)
