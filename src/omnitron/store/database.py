"""The door to SQLite: one connection, explicit transactions, errors that say what to do.

Journal mode WAL with `synchronous=NORMAL`: a crash of the process loses nothing, a power cut at most the last events.
What must survive that too is written in a `durable` transaction.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from omnitron.base.errors import OperationError, Refused
from omnitron.store.migrations import STEPS

BUSY_TIMEOUT_S: Final = 5.0  # another process (a copying tool) may hold the file for a moment


class StoreFull(OperationError):
    """There is no room to write the daemon's store; nothing of the transaction was kept."""

    code = "store_full"


class StoreFailed(OperationError):
    """The daemon's store can not be read or written."""

    code = "store_failed"


class Corrupt(StoreFailed):
    """The file is not a sound SQLite database."""

    code = "store_corrupt"


class Database:
    """An open store file, migrated to the present schema. Raises Corrupt, Refused (a newer schema), StoreFailed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._explained():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S)
        try:
            with self._explained():
                self._check()
                self._migrate()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def query(self, sql: str, *args: Any) -> list[tuple[Any, ...]]:
        """All rows of a SELECT, or of one writing statement in a transaction of its own."""
        with self._explained():
            return self._connection.execute(sql, args).fetchall()

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[None]:
        """All or nothing. durable: on disk when left, also over a power cut."""
        with self._explained():
            self._connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # SQLite itself rolls back on a full disk
                    self._connection.execute("ROLLBACK")
                raise

    def _check(self) -> None:
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        found = [row[0] for row in self._connection.execute("PRAGMA integrity_check(3)")]
        if found != ["ok"]:
            raise Corrupt(f"The store {self.path} is damaged: {'; '.join(found)}.")

    def _migrate(self) -> None:
        version = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(STEPS):
            raise Refused(
                f"The store {self.path} has schema {version}; this Omnitron knows up to {len(STEPS)}.",
                remedy="Use the Omnitron that wrote it, or a newer one.",
            )
        for number, step in enumerate(STEPS[version:], start=version + 1):
            with self.transaction(durable=True):
                for statement in step:
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version={number}")

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise _explain(error, self.path) from error


def _explain(error: sqlite3.Error | OSError, path: Path) -> OperationError:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_FULL"):
        return StoreFull(
            f"There is no room to write the store {path}.",
            remedy="Free disk space there and try again; nothing was changed.",
        )
    if name in ("SQLITE_NOTADB",) or name.startswith("SQLITE_CORRUPT"):
        return Corrupt(f"The store {path} is damaged: {error}.")
    return StoreFailed(
        f"The store {path} can not be used: {error}.", remedy="Check that the folder is yours, writable and not full."
    )
