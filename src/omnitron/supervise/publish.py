"""The addresses of replicas: listening sockets `i/<process>.<slot>.<n>`, and the symlinks `s/<process>.<slot>` to dial.

A symlink is swapped by rename, so a caller finds the old replica or the new one, never none; it is taken away only if
it still points to the incarnation that goes, so the late end of an old one does not hide its successor.
"""

import os
import pwd
import re
import shutil
import socket
from pathlib import Path
from typing import Final

from omnitron.base.home import make_private

_OF_INCARNATION: Final = re.compile(r"([a-z0-9-]+)\.(\d+)\.(\d+)(?:\.out|\.err)?")
BACKLOG: Final = 1024  # connections waiting to be accepted while a replica boots


class Addresses:
    """Of one app, below its run folder."""

    def __init__(self, run: Path) -> None:
        self.run = run
        for name in ("i", "s", "o"):
            make_private(run / name)

    def socket_path(self, process: str, slot: int, incarnation: int) -> Path:
        return self.run / "i" / f"{process}.{slot}.{incarnation}"

    def published_path(self, process: str, slot: int) -> Path:
        return self.run / "s" / f"{process}.{slot}"

    def listen(self, process: str, slot: int, incarnation: int, user: str | None) -> socket.socket:
        """A listening socket that exists before the replica does, so that one can connect at once."""
        path = self.socket_path(process, slot, incarnation)
        path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind(str(path))
        os.chmod(path, 0o600)
        if user is not None:
            os.chown(path, pwd.getpwnam(user).pw_uid, -1)
        listener.listen(BACKLOG)
        return listener

    def publish(self, process: str, slot: int, incarnation: int) -> None:
        path = self.published_path(process, slot)
        temporary = path.with_name(f".{path.name}.{incarnation}")
        temporary.unlink(missing_ok=True)
        os.symlink(f"../i/{process}.{slot}.{incarnation}", temporary)
        os.replace(temporary, path)

    def withdraw(self, process: str, slot: int, incarnation: int) -> None:
        if self.published(process, slot) == incarnation:
            self.published_path(process, slot).unlink(missing_ok=True)

    def published(self, process: str, slot: int) -> int | None:
        """The incarnation callers find now."""
        try:
            number = os.readlink(self.published_path(process, slot)).rpartition(".")[2]
        except OSError:  # none, or something of another kind in its place, which `publish` replaces
            return None
        return int(number) if number.isdecimal() else None

    def remove(self, process: str, slot: int, incarnation: int) -> None:
        """An incarnation is over."""
        self.withdraw(process, slot, incarnation)
        self.socket_path(process, slot, incarnation).unlink(missing_ok=True)

    def sweep(self, living: set[tuple[str, int, int]]) -> None:
        """Remove what incarnations left that are not among the living, after a keeper died without cleaning up."""
        for folder in ("i", "o"):
            for path in (self.run / folder).iterdir():
                name = _OF_INCARNATION.fullmatch(path.name)
                if name is None or (name[1], int(name[2]), int(name[3])) not in living:
                    _remove(path)
        for path in (self.run / "s").iterdir():
            process, _, slot = path.name.partition(".")
            if not slot.isdecimal() or (process, int(slot), self.published(process, int(slot))) not in living:
                _remove(path)


def _remove(path: Path) -> None:
    """What nobody of ours has put there goes too: it may be in the way of what we put there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
