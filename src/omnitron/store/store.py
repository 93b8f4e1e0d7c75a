"""The store as the daemon uses it: apps, claims, secrets, history behind one door."""

import logging
import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from omnitron.base.clock import Clock, SystemClock
from omnitron.store.database import Corrupt, Database
from omnitron.store.history import History
from omnitron.store.records import Claim, Desired, Secret
from omnitron.store.secrets import read_mirror, write_mirror

log = logging.getLogger("omnitron.store")
_RELEASE: Final = "DELETE FROM claims WHERE stack=? AND claimant LIKE ? || '/%'"


class Store:
    """moved: where a damaged predecessor was put, None if the file was sound."""

    def __init__(self, database: Database, moved: Path | None = None) -> None:
        self._database = database
        self._query = database.query
        self._mirror = database.path.with_name("secrets.json")
        self.moved = moved
        self.history = History(database)

    def close(self) -> None:
        self._database.close()

    def desired(self) -> list[Desired]:
        """Of all apps of all stacks, by stack and app."""
        rows = self._database.query("SELECT record FROM desired ORDER BY stack, app")
        return [msgspec.json.decode(row[0], type=Desired) for row in rows]

    def claims(self) -> list[Claim]:
        return [Claim(*row) for row in self._database.query("SELECT port, stack, claimant FROM claims ORDER BY port")]

    def secrets(self) -> list[Secret]:
        return [Secret(*row) for row in self._database.query("SELECT * FROM secrets ORDER BY stack, name")]

    def save(
        self,
        put: Iterable[Desired] = (),
        forget: Iterable[tuple[str, str]] = (),
        claims: Iterable[Claim] | None = None,
        secrets: Iterable[Secret] = (),
    ) -> None:
        """One durable step. Raises StoreFull or StoreFailed; then nothing has changed.

        forget: (stack, app), with their claims. claims: all those of the apps in `put`, in place of what they had and
        of who had the port; None leaves claims as they are.
        """
        secrets = tuple(secrets)
        with self._database.transaction(durable=True):
            for stack, app in forget:
                self._query("DELETE FROM desired WHERE stack=? AND app=?", stack, app)
                self._query(_RELEASE, stack, app)
            for record in put:
                key = (record.spec.stack, record.spec.app)
                if claims is not None:
                    self._query(_RELEASE, *key)
                self._query("INSERT OR REPLACE INTO desired VALUES (?,?,?)", *key, msgspec.json.encode(record))
            for claim in claims or ():
                self._query("INSERT OR REPLACE INTO claims VALUES (?,?,?)", claim.port, claim.stack, claim.claimant)
            for secret in secrets:
                self._query("INSERT OR REPLACE INTO secrets VALUES (?,?,?)", *msgspec.structs.astuple(secret))
            if secrets:
                write_mirror(self._mirror, self.secrets())

    def restore_secrets(self) -> int:
        """Take the mirror's secrets over into an empty store; how many there were."""
        found = read_mirror(self._mirror)
        if found:
            self.save(secrets=found)
        return len(found)


def open_store(path: Path, clock: Clock | None = None) -> Store:
    """Open or create it. A damaged file is moved aside, never repaired in place, and an empty store takes its place."""
    fresh = not path.exists()
    try:
        store = Store(Database(path))
        if fresh:
            store.restore_secrets()
        return store
    except Corrupt as error:
        moved = _move_aside(path, (clock or SystemClock()).now())
        log.error("%s moved to %s; desired state is rebuilt from what still runs", error.message, moved)
    store = Store(Database(path), moved)
    log.warning("%d secrets restored from their mirror", store.restore_secrets())
    return store


def _move_aside(path: Path, now: float) -> Path:
    moved = path.with_name(f"{path.name}.corrupt-{datetime.fromtimestamp(now, UTC):%Y%m%dT%H%M%SZ}")
    for suffix in ("", "-wal", "-shm"):
        source = path.with_name(path.name + suffix)
        if source.exists():
            os.replace(source, moved.with_name(moved.name + suffix))
    return moved
