"""Names and identities: `app`, `app/process`, `app/process/slot`."""

import difflib
import re
from collections.abc import Iterable
from typing import Final

import msgspec

from omnitron.base.errors import DefinitionError, NotFound

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
MAX_NAME_LEN: Final = 40


def check_name(name: str, what: str) -> str:
    """The name itself if it is lower-case words joined by "-" (at most 40 characters), else DefinitionError."""
    if len(name) > MAX_NAME_LEN or not _NAME.fullmatch(name):
        raise DefinitionError(
            f"The {what} name {name!r} can not be used.",
            remedy=f'Use lower-case letters, digits and "-", first a letter, at most {MAX_NAME_LEN} characters.',
        )
    return name


class ReplicaId(msgspec.Struct, frozen=True, order=True):
    """Who a replica is: stable over its restarts. Written `market/http/0`."""

    app: str
    process: str
    slot: int

    def __str__(self) -> str:
        return f"{self.app}/{self.process}/{self.slot}"

    @staticmethod
    def parse(text: str) -> "ReplicaId":
        target = Target.parse(text)
        if target.process is None or target.slot is None:
            raise NotFound(f"{text!r} does not name a replica.", remedy="Write app/process/slot, as in market/http/0.")
        return ReplicaId(target.app, target.process, target.slot)


class Target(msgspec.Struct, frozen=True):
    """What a command aims at: an app, one of its processes, or one replica."""

    app: str
    process: str | None = None
    slot: int | None = None

    def __str__(self) -> str:
        return "/".join(str(part) for part in (self.app, self.process, self.slot) if part is not None)

    @staticmethod
    def parse(text: str) -> "Target":
        parts = text.split("/")
        if not 1 <= len(parts) <= 3 or not all(parts) or (len(parts) == 3 and not parts[2].isdecimal()):
            raise NotFound(
                f"{text!r} is not a name.", remedy="Write app, app/process or app/process/slot, as in market/http/0."
            )
        return Target(parts[0], parts[1] if len(parts) > 1 else None, int(parts[2]) if len(parts) > 2 else None)

    def covers(self, replica: ReplicaId) -> bool:
        """Whether the replica is the target or part of it."""
        return self.app == replica.app and self.process in (None, replica.process) and self.slot in (None, replica.slot)


def suggest(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?` for the nearest known name, else "" (to append to a message)."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""
