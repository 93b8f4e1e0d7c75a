"""What a keeper must not forget: `keeper.json`, replaced as a whole before each step of a replica takes effect.

Times in it are of the monotonic clock, which goes on over a keeper's death but not over a boot of the machine: a file
of another boot keeps what is wanted and forgets what ran.
"""

from pathlib import Path
from typing import Final, Literal

import msgspec

from omnitron.base.home import write_atomic
from omnitron.control.keeper import AppSpec
from omnitron.supervise.processinfo import boot_id
from omnitron.supervise.slot import Slot

FORMAT: Final = 1

Role = Literal["holder", "successor", "leaving"]


class SavedReplica(msgspec.Struct, frozen=True, kw_only=True):
    """identity: of its process, as `processinfo.start_identity`. mode: how it was started."""

    role: Role
    slot: Slot
    identity: str = ""
    mode: str = ""


class SavedApp(msgspec.Struct, frozen=True, kw_only=True):
    """seq: of the latest event. counts: replicas wanted now. failed: why the app was stopped for good, else ""."""

    format: int = FORMAT
    boot: str
    seq: int = 0
    spec: AppSpec | None = None
    counts: dict[str, int] = {}
    down: tuple[str, ...] = ()
    failed: str = ""
    replicas: tuple[SavedReplica, ...] = ()


_encode: Final = msgspec.json.Encoder().encode


def save(path: Path, app: SavedApp) -> None:
    write_atomic(path, _encode(app))


def load(path: Path) -> tuple[SavedApp | None, str]:
    """The state, and why there is none ("" when there never was any)."""
    try:
        app = msgspec.json.decode(path.read_bytes(), type=SavedApp)
    except FileNotFoundError:
        return None, ""
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        return None, f"{path} can not be read: {error}"
    if app.format != FORMAT:
        return None, f"{path} is of format {app.format}, this keeper reads {FORMAT}"
    if app.boot != boot_id():
        return msgspec.structs.replace(app, replicas=(), boot=boot_id()), ""
    return app, ""
