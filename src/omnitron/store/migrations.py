"""The schema, as numbered steps. A step that has been released is never edited; a change is a new step at the end.

The number of steps done is the file's `user_version`, so that opening an up-to-date store costs one comparison.
"""

from typing import Final

Step = tuple[str, ...]

_FIRST: Final[Step] = (
    """CREATE TABLE desired (
        stack TEXT NOT NULL, app TEXT NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (stack, app)) WITHOUT ROWID""",
    """CREATE TABLE claims (
        port INTEGER PRIMARY KEY, stack TEXT NOT NULL, claimant TEXT NOT NULL, UNIQUE (stack, claimant))""",
    """CREATE TABLE secrets (
        stack TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
        PRIMARY KEY (stack, name)) WITHOUT ROWID""",
    """CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, stack TEXT NOT NULL, source TEXT NOT NULL, seq INTEGER NOT NULL,
        time REAL NOT NULL, subject TEXT NOT NULL, kind TEXT NOT NULL, reason TEXT NOT NULL, level TEXT NOT NULL,
        data BLOB NOT NULL)""",
    "CREATE INDEX events_by_source ON events (stack, source, id)",
)

STEPS: Final[tuple[Step, ...]] = (_FIRST,)
