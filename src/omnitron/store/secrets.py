"""Passwords of a stack: made once, kept for good.

They are the one thing in the store that nothing else knows, so each is also in `secrets.json` (mode 0600) beside it:
a damaged store costs no database.
"""

from pathlib import Path
from typing import Final

import msgspec

from omnitron.base.home import write_atomic
from omnitron.base.rand import Rand
from omnitron.store.database import Database

SECRET_BYTES: Final = 24


class Secrets:
    def __init__(self, database: Database, rand: Rand) -> None:
        self._database = database
        self._rand = rand
        self._mirror = database.path.with_name("secrets.json")

    def get(self, stack: str, name: str) -> str:
        """The secret of that name, made now if there is none: 48 hexadecimal digits."""
        rows = self._database.query("SELECT value FROM secrets WHERE stack=? AND name=?", stack, name)
        return str(rows[0][0]) if rows else self.put(stack, name, self._rand.token(SECRET_BYTES))

    def put(self, stack: str, name: str, value: str) -> str:
        with self._database.transaction(durable=True):
            self._database.query("INSERT OR REPLACE INTO secrets VALUES (?,?,?)", stack, name, value)
        everything: dict[str, dict[str, str]] = {}
        for of_stack, of_name, secret in self._database.query("SELECT stack, name, value FROM secrets ORDER BY 1, 2"):
            everything.setdefault(of_stack, {})[of_name] = secret
        write_atomic(self._mirror, msgspec.json.format(msgspec.json.encode(everything)), durable=True)
        return value

    def restore(self) -> int:
        """Read the mirror back into an empty store; how many there were."""
        found = read_mirror(self._mirror)
        for stack, secrets in found.items():
            for name, value in secrets.items():
                self._database.query("INSERT OR IGNORE INTO secrets VALUES (?,?,?)", stack, name, value)
        return sum(map(len, found.values()))


def read_mirror(path: Path) -> dict[str, dict[str, str]]:
    """The mirror's content; nothing if there is no such file or it can not be read as one."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, str]])
    except (FileNotFoundError, msgspec.MsgspecError):
        return {}
