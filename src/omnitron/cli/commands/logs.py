"""`logs`: read from the files themselves, so it works with the daemon away too."""

import datetime
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from omnitron.base.errors import NotFound
from omnitron.base.home import Home
from omnitron.base.names import Target, suggest
from omnitron.base.units import seconds
from omnitron.cli.command import command, target_argument
from omnitron.cli.output import dim, echo, echo_json, echo_line, paint
from omnitron.logs.query import Query
from omnitron.logs.read import Follower, logged_processes, tail
from omnitron.logs.record import LEVELS, Record

POLL_S: Final = 0.1
_COLOURS: Final = {"warning": "yellow", "error": "red", "critical": "red", "debug": "bright_black"}


@command(
    stack=True,
    epilog="  omnitron logs -f\n  omnitron logs market/http -l warning --since 1h\n"
    "  omnitron logs market -g 'BTC-(USD|EUR)'",
)
@target_argument(required=False, metavar="[NAME]")
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come, until Ctrl-C.")
@click.option("-n", "--lines", default=50, show_default=True, help="How many of the latest.")
@click.option("-l", "--level", type=click.Choice(LEVELS), help="This level and above.")
@click.option("-g", "--grep", metavar="REGEX", help="Only lines whose message or fields match.")
@click.option("--since", metavar="DURATION", help='Not older than, as in "15m".')
def logs(
    target: str | None,
    follow: bool,
    lines: int,
    level: str | None,
    grep: str | None,
    since: str | None,
    stack: str | None,
    as_json: bool,
) -> None:
    """Output of apps and processes, all together in order of time. Rotated files are read as well."""
    aim = Target.parse(target) if target else None
    oldest = time.time() - seconds(since, what="--since") if since else None
    query = Query(level=level, pattern=grep, slots=() if aim is None or aim.slot is None else (aim.slot,), since=oldest)
    folders = _folders(Home.from_env(), stack, aim)
    followers = [Follower(folder, names, query) for folder, names in folders] if follow else []
    records = [record for folder, names in folders for record in tail(folder, names, lines, query)]
    latest = sorted(records, key=lambda record: record.time)[-lines:] if lines > 0 else []
    if as_json and not follow:
        echo_json(latest)
        return
    for record in latest:
        show_record(record, as_json)
    for record in _forever(followers):
        show_record(record, as_json)


def _folders(home: Home, stack: str | None, aim: Target | None) -> list[tuple[Path, list[str]]]:
    """Log folders with the processes to read in each."""
    found = {
        (path.parent.parent.name, path.parent.name): path for path in sorted((home.root / "stacks").glob("*/*/logs"))
    }
    chosen = {
        key: path for key, path in found.items() if stack in (None, key[0]) and (aim is None or aim.app == key[1])
    }
    if aim is not None and not chosen:
        known = {app for _, app in found}
        raise NotFound(
            f"There is no output of an app {aim.app!r}.{suggest(aim.app, known)}",
            remedy=f"There is output of: {', '.join(sorted(known)) or 'nothing yet'}.",
        )
    folders = [(path, logged_processes(path)) for path in chosen.values()]
    if aim is None or aim.process is None:
        return folders
    names = {name for _, processes in folders for name in processes}
    if aim.process not in names:
        raise NotFound(
            f"App {aim.app!r} has no output of a process {aim.process!r}.{suggest(aim.process, names)}",
            remedy=f"There is output of: {', '.join(sorted(names)) or 'nothing yet'}.",
        )
    return [(path, [aim.process]) for path, processes in folders if aim.process in processes]


def _forever(followers: list[Follower]) -> Iterator[Record]:
    try:
        while followers:
            yield from sorted((r for follower in followers for r in follower.poll()), key=lambda record: record.time)
            time.sleep(POLL_S)
    finally:
        for follower in followers:
            follower.close()


def show_record(record: Record, as_json: bool) -> None:
    if as_json:
        echo_line(record)
        return
    at = datetime.datetime.fromtimestamp(record.time).strftime("%H:%M:%S.%f")[:-3]
    fields = " ".join(f"{key}={value}" for key, value in record.fields.items() if key not in ("stack", "exception"))
    message = paint(record.msg, _COLOURS.get(record.level))
    echo(f"{dim(at)} {paint(record.replica, 'cyan')} {message}{'  ' + dim(fields) if fields else ''}")
    if "exception" in record.fields:
        echo(dim(str(record.fields["exception"]).rstrip()))
