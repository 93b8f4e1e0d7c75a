"""Progress of an operation: a live table on a terminal, a line per change elsewhere, JSON lines with --json."""

import sys
import time
from collections.abc import Iterable

from omnitron.base.units import show_seconds
from omnitron.cli.output import EXIT_FAILED, EXIT_OK, colours, echo, echo_line, print_error, state
from omnitron.control.daemon import Progress


def follow(steps: Iterable[Progress], as_json: bool) -> int:
    """Show the steps to the end; the exit code."""
    if as_json:
        return _lines_of_json(steps)
    if colours():
        return _live(steps)
    return _lines(steps)


def _lines_of_json(steps: Iterable[Progress]) -> int:
    failed = False
    for step in steps:
        echo_line(step)
        failed = failed or step.failed
    return EXIT_FAILED if failed else EXIT_OK


def _line(step: Progress) -> str:
    return f"{state(step.state):<10} {step.subject}{'  ' + step.detail if step.detail else ''}"


def _lines(steps: Iterable[Progress]) -> int:
    started = time.monotonic()
    last: dict[str, tuple[str, str]] = {}
    failures: list[Progress] = []
    for step in steps:
        if step.failed and not step.final:
            failures.append(step)
        if step.final:
            failures += [step] if step.failed and not failures else []
            continue
        if last.get(step.subject) != (step.state, step.detail):
            echo(_line(step))
            last[step.subject] = (step.state, step.detail)
    return _summary(failures, time.monotonic() - started)


def _live(steps: Iterable[Progress]) -> int:
    from rich.live import Live
    from rich.text import Text

    started, rows = time.monotonic(), dict[str, Progress]()
    failures: list[Progress] = []

    def picture() -> Text:
        lines = [_line(step) for step in rows.values()]
        lines.append(f"{show_seconds(time.monotonic() - started)}")
        return Text.from_ansi("\n".join(lines))

    with Live(get_renderable=picture, refresh_per_second=8, transient=False) as live:
        for step in steps:
            if step.failed and not (step.final and failures):
                failures.append(step)
            if not step.final:
                rows[step.subject] = step
                live.refresh()
    return _summary(failures, time.monotonic() - started)


def _summary(failures: list[Progress], took: float) -> int:
    for step in failures:
        print_error(f"{step.subject} {step.state}: {step.detail}", f"See `omnitron why {step.subject}`.")
    if not failures:
        echo(f"done in {show_seconds(took)}")
    sys.stdout.flush()
    return EXIT_FAILED if failures else EXIT_OK
