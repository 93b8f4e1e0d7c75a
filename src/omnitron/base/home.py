"""Where things are: the layout below OMNITRON_HOME, the one place that knows paths.

    daemon.sock daemon.lock daemon.json daemon.log store.db
    run/<stack>/<app>/   keeper.sock keeper.json, i/ incarnation sockets, s/ published symlinks, o/ output pipes
    stacks/<stack>/<app>/logs/<process>.jsonl
    stacks/<stack>/infra/...   data of native infrastructure, unless the daemon is root (see data_dir)

The surprise: a Unix socket's path holds at most 107 bytes. Where `run/<stack>/<app>` is too long for the longest name
below it, a folder of the same owner in the system's temporary directory, named by a hash, takes its place.
"""

import os
import stat
from pathlib import Path
from typing import Final

from omnitron.base.errors import OperationError

HOME_VARIABLE: Final = "OMNITRON_HOME"
MAX_SOCKET_PATH: Final = 107  # bytes, sun_path of Linux less its NUL
_LONGEST_BELOW: Final = len("/i/") + 40 + len(".999.9999999")


class Home:
    """Paths below one OMNITRON_HOME. Nothing is created before it is asked for with `make`."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).expanduser().absolute()

    @staticmethod
    def from_env() -> "Home":
        return Home(os.environ.get(HOME_VARIABLE) or "~/.omnitron")

    def __repr__(self) -> str:
        return f"<Home {self.root}>"

    @property
    def daemon_socket(self) -> Path:
        direct = self.root / "daemon.sock"
        return direct if len(os.fsencode(direct)) <= MAX_SOCKET_PATH else self._short("daemon") / "daemon.sock"

    @property
    def daemon_lock(self) -> Path:
        return self.root / "daemon.lock"

    @property
    def daemon_info(self) -> Path:
        return self.root / "daemon.json"

    @property
    def daemon_log(self) -> Path:
        return self.root / "daemon.log"

    @property
    def store(self) -> Path:
        return self.root / "store.db"

    def run_dir(self, stack: str, app: str) -> Path:
        """Of one app in one stack: sockets, pipes, the keeper's state."""
        direct = self.root / "run" / stack / app
        if len(os.fsencode(direct)) + _LONGEST_BELOW <= MAX_SOCKET_PATH:
            return direct
        return self._short(f"{stack}/{app}")

    def keeper_socket(self, stack: str, app: str) -> Path:
        return self.run_dir(stack, app) / "keeper.sock"

    def keeper_state(self, stack: str, app: str) -> Path:
        return self.run_dir(stack, app) / "keeper.json"

    def log_dir(self, stack: str, app: str) -> Path:
        return self.root / "stacks" / stack / app / "logs"

    def keeper_log(self, stack: str, app: str) -> Path:
        """Where the daemon lets a keeper's own output go."""
        return self.log_dir(stack, app) / "keeper.log"

    def data_dir(self, stack: str) -> Path:
        """Of native infrastructure. Root's home is closed to the users its servers run as, so root uses /var/lib."""
        if os.geteuid() == 0:
            return Path("/var/lib/omnitron") / self._hash("")[:12] / stack
        return self.root / "stacks" / stack / "infra"

    def _hash(self, text: str) -> str:
        import hashlib  # noqa: PLC0415 - 3 ms of every command's start, and few need it

        return hashlib.sha256(f"{self.root}\0{text}".encode()).hexdigest()

    def _short(self, text: str) -> Path:
        return Path(os.environ.get("TMPDIR") or "/tmp") / f"omnitron-{os.geteuid()}" / self._hash(text)[:12]


def make_private(path: Path) -> Path:
    """Create the folder, mode 0700, with parents. Raises OperationError if somebody else owns it."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
        owner_dir = path.parent.lstat()
    except OSError as error:
        raise OperationError(
            f"The folder {path} can not be made: {error.strerror}.", remedy="Set OMNITRON_HOME to a folder you own."
        ) from None
    if found.st_uid != os.geteuid() or (stat.S_ISLNK(owner_dir.st_mode) and owner_dir.st_uid not in (0, os.geteuid())):
        raise OperationError(
            f"The folder {path} belongs to user {found.st_uid}, not to {os.geteuid()}.",
            remedy="Remove it, or set OMNITRON_HOME to a folder you own.",
        )
    return path


def unusable(error: OSError, root: Path) -> OperationError:
    """What to say of a file below the home that can not be used."""
    where = f" {error.filename}" if error.filename else ""
    return OperationError(
        f"The home {root} can not be used:{where} {error.strerror or error}.",
        remedy="See that its files are yours, writable and what they should be, and that the disk has room.",
        details={"errno": error.errno},
    )


def still_there(descriptor: int, path: Path) -> bool:
    """Whether the open file is the one at that path: not so if somebody has removed the folder around us."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def write_atomic(path: Path, data: bytes, *, mode: int = 0o600, durable: bool = False) -> None:
    """Replace the file as a whole: a reader sees the old or the new one. durable: also over a power cut."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, path)
