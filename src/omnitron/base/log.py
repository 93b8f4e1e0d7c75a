"""Structured logging of our own processes and of replicas: one JSON object a line.

A line has `time` (Unix seconds), `level`, `logger`, `msg`, then whatever was given as `extra`. The keeper recognises
such lines in a replica's output and keeps their fields; anything else printed becomes the `msg` of a plain record.
"""

import logging
import os
import sys
import traceback
from pathlib import Path
from typing import IO, Any, Final

import msgspec

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """context: fields added to every line."""

    def __init__(self, context: dict[str, Any] | None = None) -> None:
        super().__init__()
        self._context = context or {}
        self._encode = msgspec.json.Encoder(enc_hook=str).encode

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": round(record.created, 6),
            "level": record.levelname.lower(),
            "logger": record.name,
            "msg": record.getMessage(),
            **self._context,
        }
        for key, value in vars(record).items():
            if key not in _STANDARD:
                line[key] = value
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = "".join(traceback.format_exception(*record.exc_info))
        return self._encode(line).decode()


def log_json(
    stream: IO[str] | None = None, *, level: int = logging.INFO, context: dict[str, Any] | None = None
) -> None:
    """Send the root logger's records to `stream` (default standard error) as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(context))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)


def rotate_output(path: Path, max_bytes: int, keep: int) -> None:
    """If standard error goes to the file `path` and that has become too large, put it aside as `<name>.1` (older ones
    move up, `keep` are kept) and go on in a new one. Raises OSError; then it goes on in the old one.
    """
    size = os.fstat(2)
    if size.st_size <= max_bytes or not path.exists() or not os.path.samestat(size, path.stat()):
        return
    aside = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, keep + 1))]
    for newer, older in zip(reversed(aside[:-1]), reversed(aside[1:]), strict=True):
        if newer.exists():
            os.replace(newer, older)
    fresh = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(fresh, 1)
    os.dup2(fresh, 2)
    os.close(fresh)
