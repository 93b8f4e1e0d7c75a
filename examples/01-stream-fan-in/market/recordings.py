"""Recorded sessions: what an exchange sent, frame by frame, with the time each frame came."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from market.feeds import EXCHANGES
from omnitron.base.errors import NotFound, OperationError


class Recorded(msgspec.Struct, frozen=True):
    """One line of a recording. t: Unix seconds of receipt. frame: the text frame as it came."""

    t: float
    frame: str


@dataclass(frozen=True, slots=True)
class Session:
    """One exchange's recording, in order; at least one frame."""

    exchange: str
    frames: tuple[Recorded, ...]

    @property
    def duration_s(self) -> float:
        """From the first frame to the last."""
        return self.frames[-1].t - self.frames[0].t


def load(folder: Path) -> Mapping[str, Session]:
    """The session of each `<exchange>.jsonl` in a folder.

    Errors: NotFound if the folder has none; OperationError naming file and line if one can not be read.
    """
    paths = [path for name in EXCHANGES if (path := folder / f"{name}.jsonl").is_file()]
    if not paths:
        raise NotFound(
            f"{folder} holds no recordings.", remedy=f"Put <exchange>.jsonl there, for one of {', '.join(EXCHANGES)}."
        )
    return {path.stem: _session(path) for path in paths}


def _session(path: Path) -> Session:
    frames: list[Recorded] = []
    for line_number, line in enumerate(path.read_bytes().splitlines(), start=1):
        if line.strip():
            try:
                frames.append(msgspec.json.decode(line, type=Recorded))
            except msgspec.DecodeError as error:
                raise OperationError(
                    f"{path}:{line_number} is no recorded frame: {error}.",
                    remedy='Write one object a line: {"t": <Unix seconds>, "frame": "<text>"}.',
                ) from error
    if not frames:
        raise OperationError(f"{path} is empty.", remedy="Remove the file, or record at least one frame.")
    return Session(path.stem, tuple(frames))
