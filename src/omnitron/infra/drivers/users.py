"""As whom a server runs. Postgres refuses to run as root, and no other server needs to."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from omnitron.base.errors import OperationError

FALLBACK_USER: Final = "nobody"
COMMAND_TIMEOUT: Final = 300.0  # seconds for initdb, a copy or a sync on a slow disk


@dataclass(frozen=True, slots=True)
class RunAs:
    """name: None for ourselves, without a change of user."""

    name: str | None
    uid: int
    gid: int

    def run(self, command: Sequence[str | Path], *, input: str | None = None) -> subprocess.CompletedProcess[str]:
        """The finished command, whatever its exit code. PermissionError if this user can not reach it."""
        switch: dict[str, Any] = {}
        if self.name is not None:
            switch = {"user": self.uid, "group": self.gid, "extra_groups": [], "cwd": "/"}
        return subprocess.run(
            [str(part) for part in command], input=input, capture_output=True, text=True, errors="replace",
            timeout=COMMAND_TIMEOUT, env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"}, check=False, **switch,
        )  # fmt: skip

    def check(self, command: Sequence[str | Path], *, input: str | None = None) -> str:
        """Standard output of a command that must succeed; else OperationError with what it said."""
        done = self.run(command, input=input)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-1000:]
            raise OperationError(
                f"{Path(command[0]).name} failed with exit code {done.returncode}: {said}",
                details={"command": [str(part) for part in command], "exit_code": done.returncode},
            )
        return done.stdout

    def make_dir(self, path: Path) -> Path:
        """The folder, mode 0700, owned by this user; its parents must exist."""
        path.mkdir(mode=0o700, exist_ok=True)
        if self.name is not None:
            os.chown(path, self.uid, self.gid)
        return path

    def write(self, path: Path, text: str) -> None:
        """A file for the eyes of this user only, replaced as a whole."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
            if self.name is not None:
                os.fchown(descriptor, self.uid, self.gid)
        temporary.replace(path)


def choose_user(wanted: str | None, usual: str) -> RunAs:
    """As root: the wanted user, else the usual one of that kind if this machine has it, else nobody."""
    if os.geteuid() != 0:
        if wanted is not None and wanted != pwd.getpwuid(os.geteuid()).pw_name:
            raise OperationError(
                f"The server is to run as {wanted!r}, and only root may change the user.",
                remedy='Remove "user" from its config, or run the daemon as root.',
            )
        return RunAs(None, os.geteuid(), os.getegid())
    for name in [wanted] if wanted else [usual, FALLBACK_USER]:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid == 0:
            break
        return RunAs(name, entry.pw_uid, entry.pw_gid)
    raise OperationError(
        f"The server can not run as {wanted or FALLBACK_USER!r}: this machine has no such user, or it is root.",
        remedy='Name an unprivileged user of this machine: config={"user": "..."}.',
    )


def make_open(path: Path) -> Path:
    """The folder with its parents; those that are new can be passed through by every user (mode 0755)."""
    missing = [p for p in (path, *path.parents) if not p.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o755, exist_ok=True)
        folder.chmod(0o755)  # whatever the umask says
    return path


def check_passage(run_as: RunAs, folder: Path) -> None:
    """Raises OperationError if the user can not get to the folder."""
    if run_as.run(["test", "-x", folder]).returncode:
        raise OperationError(
            f"User {run_as.name!r} can not reach {folder}, where its data are to be.",
            remedy="Let others pass through the folders above it: `chmod a+x` each.",
        )


def sync_dir(folder: Path) -> None:
    """So that a rename in it is not undone by a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_tree(path: Path) -> None:
    """Gone, if it was there."""
    if path.exists():
        shutil.rmtree(path)
