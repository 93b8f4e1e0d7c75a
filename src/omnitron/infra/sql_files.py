"""Folders of plain SQL files as migrations: applied once each, in order of name, each in a transaction of its own.

A ledger table remembers names and contents. A file that changed after it was applied is refused: what it says now is
not what the database is.
"""

import hashlib
import re
from pathlib import Path
from typing import Any, Final

import asyncpg

from omnitron.base.errors import DefinitionError
from omnitron.infra.steps import Say

LEDGER: Final = "omnitron_migrations"
_TOKEN: Final = re.compile(
    r"""--[^\n]* | /\*.*?\*/ | \bE'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | (\$\w*\$).*?\1 | ;""",
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)
_SQL_BODY: Final = re.compile(r"\bBEGIN\s+ATOMIC\b(?!.*\bEND\s*$)", re.DOTALL | re.IGNORECASE)


def split_statements(text: str) -> list[tuple[int, str]]:
    """(line, statement) of each, line from 1. Semicolons in strings, comments and function bodies do not count."""
    found: list[tuple[int, str]] = []
    start = 0
    for match in _TOKEN.finditer(text + "\n;"):
        if match[0] != ";" or _SQL_BODY.search(text[start : match.start()]):
            continue
        statement = text[start : match.start()]
        bare = re.sub(r"--[^\n]*|/\*.*?\*/", "", statement, flags=re.DOTALL).strip()
        if bare:
            skipped = len(statement) - len(statement.lstrip())
            found.append((text.count("\n", 0, start + skipped) + 1, statement.strip()))
        start = match.end()
    return found


async def apply_sql(db: Any, folder: Path, say: Say) -> list[str]:
    """Names of the files applied now. Raises DefinitionError naming file, line and statement."""
    await db.execute(
        f"CREATE TABLE IF NOT EXISTS {LEDGER} (name text PRIMARY KEY, sha256 text NOT NULL, "
        "applied_at timestamptz NOT NULL DEFAULT now())"
    )
    done = {row["name"]: row["sha256"] for row in await db.fetch(f"SELECT name, sha256 FROM {LEDGER}")}
    applied = []
    for path, text in _read(folder):
        digest = hashlib.sha256(text.encode()).hexdigest()
        if path.name not in done:
            say(f"applying {path.name}")
            await _apply(db, path, text, digest)
            applied.append(path.name)
        elif done[path.name] != digest:
            raise DefinitionError(
                f"The migration {path} was changed after it had been applied.",
                remedy="Restore it, and put the change into a new file.",
            )
    return applied


def _read(folder: Path) -> list[tuple[Path, str]]:
    return [(path, path.read_text()) for path in sorted(folder.glob("*.sql"))]


async def _apply(db: Any, path: Path, text: str, digest: str) -> None:
    async with db.transaction():
        for line, statement in split_statements(text):
            try:
                await db.execute(statement)
            except asyncpg.PostgresError as error:
                raise migration_failed(path.name, f"{path}, line {line}", error, statement) from None
        await db.execute(f"INSERT INTO {LEDGER} (name, sha256) VALUES ($1, $2)", path.name, digest)


def migration_failed(revision: str, where: str, error: object, statement: str) -> DefinitionError:
    """The one form of this error, for SQL files and Alembic."""
    shown = statement if len(statement) <= 500 else statement[:500] + " ..."
    return DefinitionError(
        f"Migration {revision} failed ({where}): {error}." + (f"\nStatement: {shown}" if shown else ""),
        remedy="It was rolled back. Correct it and start again.",
        details={"revision": revision, "where": where, "statement": shown},
    )
