"""The ledger of firings: one row per (job, scheduled time), in an SQLite file that all replicas of the app share.

Whoever inserts the row has the firing; so there is one per tick, whatever the number of replicas. The holder renews a
lease while it runs; where the lease has run out, the holder died: the firing is lost, or run again by who finds it.

    (none) --claim--> running --finish--> ok | failed | cancelled
              |          |  ^
              |          |  +-- start -- queued          the last run is still going (overlap="queue")
              |          +-- lease over --> lost, or running again by another (retry_on_crash)
              +--> skipped                               the last run is still going (overlap="skip")

docs/decisions/0006-schedule-ledger.md says why SQLite.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import msgspec

from omnitron.base.errors import OperationError
from omnitron.declare.schedule import Overlap

LEASE_S: Final = 6.0
HISTORY: Final = 100  # rows kept per job
QUEUE_LIMIT: Final = 32  # waiting firings of a job with overlap="queue"; more are skipped
ALLOW_LIMIT: Final = 16  # runs at once of a job with overlap="allow"; more are skipped
LOCK_TIMEOUT_S: Final = 5.0

Outcome = Literal["ok", "failed", "cancelled"]
Claim = Literal["running", "queued", "skipped", "taken"]

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS job (name TEXT PRIMARY KEY, since REAL NOT NULL, seen REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS firing (
    job TEXT NOT NULL, scheduled REAL NOT NULL, state TEXT NOT NULL, owner TEXT NOT NULL, lease REAL NOT NULL,
    started REAL, finished REAL, error TEXT NOT NULL DEFAULT '', PRIMARY KEY (job, scheduled)
) WITHOUT ROWID;
"""


class Firing(msgspec.Struct, frozen=True):
    """state: running, queued, ok, failed, cancelled, skipped or lost. Times are Unix seconds."""

    scheduled: float
    state: str
    owner: str
    started: float | None
    finished: float | None
    error: str


class Ledger:
    """Synchronous and thread-safe. path: the file, or None for a ledger of this process alone.

    Raises OperationError if the file can not be opened.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = threading.Lock()
        db: sqlite3.Connection | None = None
        try:
            db = sqlite3.connect(
                path or ":memory:", timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.executescript(_SCHEMA)
            self._db = db
        except sqlite3.Error as error:
            if db is not None:
                db.close()
            raise OperationError(
                f"The ledger of scheduled jobs {path} can not be used: {error}.",
                remedy="Check the disk; if the file is damaged, remove it: jobs then begin anew, without making up.",
            ) from error

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def job(self, name: str, now: float) -> tuple[float, float]:
        """(since, seen): when the job was first seen by any replica, and up to when its firings have been decided."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO job VALUES (?, ?, ?)", (name, now, now))
            since, seen = db.execute("SELECT since, seen FROM job WHERE name = ?", (name,)).fetchone()
        return float(since), float(seen)

    def advance(self, name: str, seen: float) -> None:
        """All firings up to `seen` have been claimed or left out."""
        with self._transaction() as db:
            db.execute("UPDATE job SET seen = max(seen, ?) WHERE name = ?", (seen, name))
            db.execute(
                "DELETE FROM firing WHERE job = ?1 AND state NOT IN ('running', 'queued') AND scheduled < "
                "(SELECT scheduled FROM firing WHERE job = ?1 ORDER BY scheduled DESC LIMIT 1 OFFSET ?2)",
                (name, HISTORY - 1),
            )

    def claim(self, name: str, scheduled: float, owner: str, overlap: Overlap, now: float) -> Claim:
        """Try to get the firing; "taken" if it is another's, or decided before."""
        with self._transaction() as db:
            (seen,) = db.execute("SELECT seen FROM job WHERE name = ?", (name,)).fetchone()
            taken = db.execute("SELECT 1 FROM firing WHERE job = ? AND scheduled = ?", (name, scheduled)).fetchone()
            if scheduled <= seen or taken:
                return "taken"
            state = self._admit(name, overlap, now)
            started = now if state == "running" else None
            finished = now if state == "skipped" else None
            db.execute(
                "INSERT INTO firing VALUES (?, ?, ?, ?, ?, ?, ?, '')",
                (name, scheduled, state, owner, now + LEASE_S, started, finished),
            )
            return state

    def _admit(self, name: str, overlap: Overlap, now: float) -> Claim:
        live = "SELECT count(*) FROM firing WHERE job = ? AND state = ? AND lease >= ?"
        (running,) = self._db.execute(live, (name, "running", now)).fetchone()
        (queued,) = self._db.execute(live, (name, "queued", now)).fetchone()
        if overlap == "allow":
            return "running" if running < ALLOW_LIMIT else "skipped"
        if running == 0 and queued == 0:
            return "running"
        return "queued" if overlap == "queue" and queued < QUEUE_LIMIT else "skipped"

    def start(self, name: str, scheduled: float, now: float) -> bool:
        """Whether the queued firing is now running: nothing of the job runs, and no earlier one waits."""
        with self._transaction() as db:
            changed = db.execute(
                "UPDATE firing SET state = 'running', started = ?3 "
                "WHERE job = ?1 AND scheduled = ?2 AND state = 'queued' "
                "AND NOT EXISTS (SELECT 1 FROM firing o WHERE o.job = ?1 AND o.lease >= ?3 AND "
                "(o.state = 'running' OR (o.state = 'queued' AND o.scheduled < ?2)))",
                (name, scheduled, now),
            )
            return changed.rowcount == 1

    def renew(self, owner: str, now: float) -> None:
        """The owner lives."""
        with self._transaction() as db:
            db.execute(
                "UPDATE firing SET lease = ? WHERE owner = ? AND state IN ('running', 'queued')", (now + LEASE_S, owner)
            )

    def finish(self, name: str, scheduled: float, owner: str, outcome: Outcome, error: str, now: float) -> None:
        with self._transaction() as db:
            db.execute(
                "UPDATE firing SET state = ?, finished = ?, error = ? WHERE job = ? AND scheduled = ? AND owner = ?",
                (outcome, now, error[:2000], name, scheduled, owner),
            )

    def orphans(self, name: str, owner: str, now: float, *, retry: bool) -> list[float]:
        """Firings whose owner died. retry: they are this owner's from now on, else they are noted as lost."""
        with self._transaction() as db:
            dead = "job = ? AND state IN ('running', 'queued') AND lease < ?"
            rows = db.execute(f"SELECT scheduled FROM firing WHERE {dead} ORDER BY scheduled", (name, now)).fetchall()
            if rows and retry:
                db.execute(
                    f"UPDATE firing SET state = 'running', owner = ?, lease = ?, started = ? WHERE {dead}",
                    (owner, now + LEASE_S, now, name, now),
                )
            elif rows:
                db.execute(
                    f"UPDATE firing SET state = 'lost', finished = ?, error = 'its replica died' WHERE {dead}",
                    (now, name, now),
                )
        return [float(row[0]) for row in rows]

    def history(self, name: str, limit: int = HISTORY) -> list[Firing]:
        """The latest firings, newest first."""
        with self._lock:
            rows = self._db.execute(
                "SELECT scheduled, state, owner, started, finished, error FROM firing WHERE job = ? "
                "ORDER BY scheduled DESC LIMIT ?",
                (name, limit),
            ).fetchall()
        return [Firing(*row) for row in rows]

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")
