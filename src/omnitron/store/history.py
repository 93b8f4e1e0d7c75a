"""Events of daemon and keepers, kept up to a bound. Their `seq` here is the store's own, one order over all sources."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from omnitron.control.events import Event
from omnitron.store.database import Database

MAX_EVENTS: Final = 10_000
PRUNE_EVERY: Final = 256  # events; so the table holds at most MAX_EVENTS + PRUNE_EVERY rows
_COLUMNS: Final = "id, time, stack, subject, kind, reason, level, data"


class History:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._added = 0

    def add(self, event: Event, source: str) -> None:
        """Store an event of `source`: an app's keeper, or "daemon"."""
        self._database.query(
            "INSERT INTO events (stack, source, seq, time, subject, kind, reason, level, data) "
            "VALUES (?,?,?,?,?,?,?,?,?)",
            event.stack, source, event.seq, event.time, event.subject, event.kind, event.reason, event.level,
            msgspec.json.encode(event.data),
        )  # fmt: skip
        self._added += 1
        if self._added % PRUNE_EVERY == 0:
            self._database.query("DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?", MAX_EVENTS)

    def newest(self, stack: str, source: str) -> tuple[int, float]:
        """(seq in the source's own counting, time) of the newest known event of the source; zeros if there is none."""
        rows = self._database.query(
            "SELECT seq, time FROM events WHERE stack=? AND source=? ORDER BY id DESC LIMIT 1", stack, source
        )
        return (int(rows[0][0]), float(rows[0][1])) if rows else (0, 0.0)

    def after(self, seq: int, limit: int, stack: str | None = None, subjects: Iterable[str] = ()) -> list[Event]:
        """The oldest `limit` of the events newer than the store's `seq`."""
        where, args = _filter(stack, subjects)
        rows = self._database.query(
            f"SELECT {_COLUMNS} FROM events WHERE id > ? AND {where} ORDER BY id LIMIT ?", seq, *args, limit
        )
        return [_event(row) for row in rows]

    def latest(self, count: int, stack: str | None = None, subjects: Iterable[str] = ()) -> list[Event]:
        """The newest `count`, oldest first. subjects: exact names, or ("market/",) for all below; none means all."""
        where, args = _filter(stack, subjects)
        rows = self._database.query(
            f"SELECT {_COLUMNS} FROM events WHERE {where} ORDER BY id DESC LIMIT ?", *args, count
        )
        return [_event(row) for row in reversed(rows)]


def _filter(stack: str | None, subjects: Iterable[str]) -> tuple[str, list[Any]]:
    where, args = ["1"], list[Any]()
    if stack is not None:
        where.append("stack=?")
        args.append(stack)
    tests = []
    for subject in subjects:
        below = subject.endswith("/")
        tests.append("substr(subject, 1, ?) = ?" if below else "subject = ?")
        args.extend((len(subject), subject) if below else (subject,))
    if tests:
        where.append(f"({' OR '.join(tests)})")
    return " AND ".join(where), args


def _event(row: tuple[Any, ...]) -> Event:
    seq, time, stack, subject, kind, reason, level, data = row
    return Event(
        seq=seq, time=time, stack=stack, subject=subject, kind=kind, reason=reason, level=level,
        data=msgspec.json.decode(data, type=dict[str, Any]),
    )  # fmt: skip
