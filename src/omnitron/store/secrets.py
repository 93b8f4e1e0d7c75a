"""Secrets of a stack, made once and kept for good.

They are the one thing in the store that nothing else knows, so they are also in `secrets.json` (mode 0600) beside it:
a damaged store costs no database.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

import msgspec

from omnitron.base.home import write_atomic
from omnitron.store.records import Secret

log = logging.getLogger("omnitron.store")


def write_mirror(path: Path, secrets: Iterable[Secret]) -> None:
    """Replace the mirror, durably. Raises OSError."""
    write_atomic(path, msgspec.json.format(msgspec.json.encode(list(secrets))), durable=True)


def read_mirror(path: Path) -> list[Secret]:
    """The mirror's content; nothing if there is no such file or it is no mirror (which is said in the log)."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Secret])
    except FileNotFoundError:
        return []
    except (OSError, msgspec.MsgspecError) as error:
        log.error("the mirror of the secrets, %s, can not be read: %s", path, error)
        return []
