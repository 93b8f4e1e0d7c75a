"""Structured logging of our own processes and of replicas: one JSON object a line.

A line has `time` (Unix seconds), `level`, `logger`, `msg`, then whatever was given as `extra`. The keeper recognises
such lines in a replica's output and keeps their fields; anything else printed becomes the `msg` of a plain record.
"""

import logging
import sys
import traceback
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
