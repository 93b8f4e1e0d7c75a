"""What has run, in a file that the replicas of this app share; a real app would use its database."""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

from omnitron import ProvideContext, provide

KEPT = 100


class Runs:
    """One row a run: when it began (Unix seconds), by which replica, with what result."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with closing(self._open()) as file, file:
            file.execute("CREATE TABLE IF NOT EXISTS runs (began REAL, replica TEXT, ok INTEGER, failed INTEGER)")

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=5)

    def add(self, began: float, ok: int, failed: int) -> None:
        replica = os.environ["OMNITRON_INSTANCE_ID"]
        with closing(self._open()) as file, file:
            file.execute("INSERT INTO runs VALUES (?, ?, ?, ?)", (began, replica, ok, failed))

    def latest(self) -> list[dict[str, str | int]]:
        """Newest first."""
        with closing(self._open()) as file:
            rows = file.execute(
                "SELECT began, replica, ok, failed FROM runs ORDER BY began DESC LIMIT ?", (KEPT,)
            ).fetchall()
        return [
            {"second": int(began), "replica": replica, "ok": ok, "failed": failed}
            for began, replica, ok, failed in rows
        ]


@provide()
async def runs(context: ProvideContext) -> AsyncIterator[Runs]:
    """In the folder of this app in this stack."""
    yield Runs(context.state_dir / "runs.db")
