"""How commands speak: text for people, JSON for machines, exit codes for scripts."""

import os
import sys
from collections.abc import Sequence
from typing import Any, Final

import click
import msgspec

from omnitron.base.errors import DaemonUnreachable, NotFound, OmnitronError, Refused

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_UNREACHABLE: Final = 2
EXIT_REFUSED: Final = 3

_STATE_COLOURS: Final = {
    "ready": "green", "running": "green", "ok": "green", "done": "green", "create": "green",
    "starting": "yellow", "degraded": "yellow", "draining": "yellow", "backoff": "yellow", "warning": "yellow",
    "update": "yellow", "reload": "yellow", "restart": "yellow",
    "failed": "red", "given_up": "red", "error": "red", "remove": "red",
    "stopped": "bright_black", "keep": "bright_black", "stopping": "bright_black",
}  # fmt: skip


def colours() -> bool:
    """Only on a terminal, and not if NO_COLOR is set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def paint(text: str, colour: str | None = None, *, bold: bool = False) -> str:
    return click.style(text, fg=colour, bold=bold or None) if colours() else text


def state(word: str) -> str:
    """A state in its colour."""
    return paint(word, _STATE_COLOURS.get(word))


def dim(text: str) -> str:
    return paint(text, "bright_black")


def echo(text: str = "") -> None:
    click.echo(text, color=colours())


def to_json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2).decode()


def echo_json(value: Any) -> None:
    """A whole document on standard output."""
    click.echo(to_json(value))


def echo_line(value: Any) -> None:
    """One JSON object a line, for streams."""
    click.echo(msgspec.json.encode(value, enc_hook=str).decode())


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> str:
    """Columns aligned by what is seen, colours not counted."""
    cells = [[dim(h) for h in header], *rows]
    widths = [max(len(click.unstyle(row[i])) for row in cells) for i in range(len(header))]
    lines = []
    for row in cells:
        padded = [cell + " " * (width - len(click.unstyle(cell))) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def print_error(message: str, remedy: str, code: str = "") -> None:
    """On standard error: what happened, then what to do."""
    mark = (
        click.style("error", fg="red", bold=True) if sys.stderr.isatty() and not os.environ.get("NO_COLOR") else "error"
    )
    click.echo(f"{mark}{f' [{code}]' if code else ''}: {message}", err=True)
    if remedy:
        click.echo(f"  fix: {remedy}", err=True)


def exit_code(error: OmnitronError) -> int:
    """By who must act: see EXIT_*."""
    if isinstance(error, DaemonUnreachable):
        return EXIT_UNREACHABLE
    return EXIT_REFUSED if isinstance(error, Refused | NotFound) else EXIT_FAILED


def fail(error: OmnitronError, as_json: bool) -> int:
    """Report and give the exit code."""
    if as_json:
        body = {"code": error.code, "message": error.message, "remedy": error.remedy, "details": error.details}
        echo_json({"error": body})
    else:
        print_error(error.message, error.remedy, error.code)
        if output := error.details.get("output"):
            click.echo(str(output), err=True)
    return exit_code(error)
