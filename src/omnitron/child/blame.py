"""Whose fault an exception in user code is: one line with the error and the place, instead of a traceback."""

import traceback
from pathlib import Path
from typing import Final

from omnitron.base.errors import OmnitronError

_OURS: Final = str(Path(__file__).parent.parent)
MAX_TRACE_CHARS: Final = 16_384


def blame(error: BaseException, root: Path) -> tuple[str, str]:
    """The message, as in "ModuleNotFoundError: No module named 'x' (market/api.py:3)", and the whole traceback.

    root: folder that paths are shown relative to.
    """
    what = error.message if isinstance(error, OmnitronError) else _last_line(error)
    place = _place(error, root)
    trace = "".join(traceback.format_exception(error))[-MAX_TRACE_CHARS:]
    return (f"{what} ({place})" if place else what), trace


def _last_line(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    if isinstance(error, SystemExit):
        return f"SystemExit: the module ended the process with code {error.code}"
    return "".join(traceback.format_exception_only(error)).strip().splitlines()[0]


def _place(error: BaseException, root: Path) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{_shown(error.filename, root)}:{error.lineno}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((_OURS, "<")) and "importlib" not in frame.filename
    ]
    below = [f for f in frames if Path(f.filename).is_relative_to(root) and "site-packages" not in f.filename]
    for frame in reversed(below or frames):
        return f"{_shown(frame.filename, root)}:{frame.lineno}"
    return ""


def _shown(filename: str, root: Path) -> str:
    path = Path(filename)
    return str(path.relative_to(root)) if path.is_relative_to(root) else filename
