"""What a keeper must not forget: `keeper.json`, and the steps of its replicas since that was written.

Every step of a replica is written down before it takes effect. Replacing a file costs 2 ms on a common file system
(ext4 flushes what is renamed over another), appending a line to one costs 10 us; so `keeper.json` is a snapshot,
written when what is wanted changes, and `keeper.<n>.steps` holds the steps since snapshot n. A last line torn by a
crash was never acted upon and is ignored.

Times in it are of the monotonic clock, which goes on over a keeper's death but not over a boot of the machine: a file
of another boot keeps what is wanted and forgets what ran.
"""

import os
from pathlib import Path
from typing import Final, Literal

import msgspec

from omnitron.base.home import write_atomic
from omnitron.control.keeper import AppSpec
from omnitron.supervise.processinfo import boot_id
from omnitron.supervise.slot import Slot

FORMAT: Final = 1
MAX_STEPS: Final = 256 * 1024  # bytes of steps before the next snapshot

Role = Literal["holder", "successor", "leaving"]


class SavedReplica(msgspec.Struct, frozen=True, kw_only=True):
    """key: of its owner, unique in one app. identity: of its process, as `processinfo.start_identity`.

    mode: how it was started.
    """

    key: int
    role: Role
    slot: Slot
    identity: str = ""
    mode: str = ""


class SavedApp(msgspec.Struct, frozen=True, kw_only=True):
    """number: of the snapshot. seq: of the latest event. counts: replicas wanted now.

    failed: why the app was stopped for good, else "".
    """

    format: int = FORMAT
    boot: str
    number: int = 0
    seq: int = 0
    spec: AppSpec | None = None
    counts: dict[str, int] = {}
    down: tuple[str, ...] = ()
    failed: str = ""
    replicas: tuple[SavedReplica, ...] = ()


class Step(msgspec.Struct, frozen=True, array_like=True):
    """replica: as it is after the step; None: there is no such owner any more."""

    key: int
    seq: int
    replica: SavedReplica | None


_encode: Final = msgspec.json.Encoder().encode
_decode_step: Final = msgspec.json.Decoder(Step).decode


class Memory:
    """The files of one app's keeper. number: of the last snapshot."""

    def __init__(self, run: Path, number: int) -> None:
        self._run = run
        self._number = number
        self._descriptor: int | None = None
        self._size = 0

    def snapshot(self, app: SavedApp) -> None:
        """Write down everything. Raises OSError, the earlier state then being kept."""
        number = self._number + 1
        write_atomic(self._run / "keeper.json", _encode(msgspec.structs.replace(app, number=number)))
        self.close()
        _steps(self._run, self._number).unlink(missing_ok=True)
        self._number, self._size = number, 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(_steps(self._run, number), flags, 0o600)

    def step(self, step: Step) -> bool:
        """Write down one step; False if that needs a snapshot instead. Raises OSError."""
        if self._descriptor is None or self._size > MAX_STEPS:
            return False
        line = _encode(step) + b"\n"
        self._size += len(line)
        if os.write(self._descriptor, line) < len(line):
            self.close()  # a full disk has torn the line: nothing may follow it
            return False
        return True

    def close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def forget(self) -> None:
        """Nothing is left to remember."""
        self.close()
        (self._run / "keeper.json").unlink(missing_ok=True)
        _steps(self._run, self._number).unlink(missing_ok=True)


def load(run: Path) -> tuple[SavedApp | None, str]:
    """The state, and why there is none ("" when there never was any)."""
    path = run / "keeper.json"
    try:
        app = msgspec.json.decode(path.read_bytes(), type=SavedApp)
        if app.format != FORMAT:
            return None, f"{path} is of format {app.format}, this keeper reads {FORMAT}"
        app = _with_steps(app, _steps(run, app.number))
    except FileNotFoundError:
        return None, ""
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return None, f"{path} can not be read: {error}"
    if app.boot != boot_id():
        return msgspec.structs.replace(app, replicas=(), boot=boot_id()), ""
    return app, ""


def _with_steps(app: SavedApp, path: Path) -> SavedApp:
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return app
    replicas = {replica.key: replica for replica in app.replicas}
    seq = app.seq
    for line in lines:
        step = _decode_step(line)
        seq = step.seq
        if step.replica is None:
            replicas.pop(step.key, None)
        else:
            replicas[step.key] = step.replica
    return msgspec.structs.replace(app, replicas=tuple(replicas.values()), seq=seq)


def _steps(run: Path, number: int) -> Path:
    return run / f"keeper.{number}.steps"
