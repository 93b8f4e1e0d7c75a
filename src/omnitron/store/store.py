"""The store as the daemon uses it: apps, claims, secrets, history behind one door."""

import logging
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from omnitron.base.clock import Clock, SystemClock
from omnitron.base.rand import Rand, SystemRand
from omnitron.store.database import Corrupt, Database
from omnitron.store.history import History
from omnitron.store.records import Claim, Desired
from omnitron.store.secrets import Secrets

log = logging.getLogger("omnitron.store")


class Store:
    """moved: where a damaged predecessor was put, None if the file was sound."""

    def __init__(self, database: Database, rand: Rand, moved: Path | None = None) -> None:
        self._database = database
        self.moved = moved
        self.secrets = Secrets(database, rand)
        self.history = History(database)

    def close(self) -> None:
        self._database.close()

    def desired(self) -> list[Desired]:
        """Of all apps of all stacks, by stack and app."""
        rows = self._database.query("SELECT record FROM desired ORDER BY stack, app")
        return [msgspec.json.decode(row[0], type=Desired) for row in rows]

    def claims(self) -> list[Claim]:
        return [Claim(*row) for row in self._database.query("SELECT kind, scope, number, stack, claimant FROM claims")]

    def save(
        self,
        put: Iterable[Desired] = (),
        remove: Iterable[tuple[str, str]] = (),
        claim: Iterable[Claim] = (),
        release: Iterable[Claim] = (),
    ) -> None:
        """One durable step. remove: (stack, app). Raises StoreFull or StoreFailed; then nothing has changed."""
        with self._database.transaction(durable=True):
            for stack, app in remove:
                self._database.query("DELETE FROM desired WHERE stack=? AND app=?", stack, app)
            for old in release:
                self._database.query(
                    "DELETE FROM claims WHERE kind=? AND stack=? AND claimant=?", old.kind, old.stack, old.claimant
                )
            for record in put:
                self._database.query(
                    "INSERT OR REPLACE INTO desired VALUES (?,?,?)",
                    record.spec.stack, record.spec.app, msgspec.json.encode(record),
                )  # fmt: skip
            for new in claim:
                self._database.query("INSERT INTO claims VALUES (?,?,?,?,?)", *msgspec.structs.astuple(new))


def open_store(path: Path, rand: Rand | None = None, clock: Clock | None = None) -> Store:
    """Open or create it. A damaged file is moved aside, never repaired in place, and an empty store takes its place."""
    rand = rand or SystemRand()
    try:
        return Store(Database(path), rand)
    except Corrupt as error:
        moved = _move_aside(path, (clock or SystemClock()).now())
        log.error("%s moved to %s; desired state is rebuilt from what still runs", error.message, moved)
    store = Store(Database(path), rand, moved)
    log.warning("%d secrets restored from their mirror", store.secrets.restore())
    return store


def _move_aside(path: Path, now: float) -> Path:
    moved = path.with_name(f"{path.name}.corrupt-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}")
    for suffix in ("", "-wal", "-shm"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            os.replace(source, moved.with_name(moved.name + suffix))
    return moved
