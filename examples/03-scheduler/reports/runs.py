"""What has run, in a file that the replicas of this app share; a real app would use its database."""

import os
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

from omnitron import provide

KEPT = 100


class Runs:
    """One row a run: when, by which replica, with what result."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(self._open()) as file, file:
            file.execute("CREATE TABLE IF NOT EXISTS runs (at REAL, replica TEXT, ok INTEGER, failed INTEGER)")

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=5)

    def add(self, ok: int, failed: int) -> None:
        replica = os.environ["OMNITRON_INSTANCE_ID"]
        with closing(self._open()) as file, file:
            file.execute("INSERT INTO runs VALUES (?, ?, ?, ?)", (time.time(), replica, ok, failed))

    def latest(self) -> list[dict[str, str | int]]:
        with closing(self._open()) as file:
            rows = file.execute("SELECT at, replica, ok, failed FROM runs ORDER BY at DESC LIMIT ?", (KEPT,)).fetchall()
        return [{"second": int(at), "replica": replica, "ok": ok, "failed": failed} for at, replica, ok, failed in rows]


@provide()
async def runs() -> AsyncIterator[Runs]:
    """Next to the other state of this stack."""
    name = f"reports-{os.environ['OMNITRON_STACK']}-{os.getuid()}-{os.environ.get('REPORTS_RUNS', 'runs')}.db"
    yield Runs(Path(tempfile.gettempdir()) / name)
