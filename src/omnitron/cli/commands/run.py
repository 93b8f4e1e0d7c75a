"""`run`: one system in the foreground. For containers, debuggers and a quick look.

It is the same daemon and the same keepers, in a home of their own that nobody else uses; what differs is that they live
exactly as long as this command: when it is told to stop, everything stops in order before it returns.
"""

import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

import click

from omnitron.base.home import Home
from omnitron.cli.command import command
from omnitron.cli.commands.daemon import wait_until_gone
from omnitron.cli.commands.logs import show_record
from omnitron.cli.connect import connect, start_daemon
from omnitron.cli.definition import checked, refuse_errors
from omnitron.cli.output import EXIT_FAILED, EXIT_OK
from omnitron.cli.progress import follow
from omnitron.logs.read import Follower, logged_processes
from omnitron.model.ecosystem import DEFAULT_STACK

POLL_S: Final = 0.1
STOP_TIMEOUT_S: Final = 120.0


@command(epilog="  omnitron run examples/02-cpu-pool\n  omnitron run --home /data          # in a container, data kept")
@click.argument("path", required=False, type=click.Path())
@click.option(
    "--home", "folder", type=click.Path(file_okay=False), help="Keep data here; default: a folder that is removed."
)
def run(path: str | None, folder: str | None, as_json: bool) -> int:
    """Run one system in the foreground until Ctrl-C or SIGTERM, its output on standard output.

    Leaves nothing running and, without --home, nothing behind. Exit code 1 if it does not become ready.
    """
    description, findings = checked(path)
    if refuse_errors(findings, as_json):
        return EXIT_FAILED
    with _stoppable() as stopped, _home(folder) as home:
        start_daemon(home)
        try:
            with connect(home) as daemon:
                code = follow(daemon.up(description, None), as_json)
            if code == EXIT_OK:
                _print_output(home, [app.app for app in description.apps], stopped, as_json)
            return code
        finally:
            with connect(home, timeout_s=STOP_TIMEOUT_S) as daemon:
                daemon.shutdown(True)
            wait_until_gone(home)


@contextmanager
def _stoppable() -> Iterator[list[int]]:
    """SIGTERM becomes Ctrl-C, as a container's stop does; the list holds the signal once it came."""
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _home(folder: str | None) -> Iterator[Home]:
    if folder is not None:
        yield Home(folder)
        return
    home = Home(tempfile.mkdtemp(prefix="omnitron-run-"))
    try:
        yield home
    finally:
        shutil.rmtree(home.root, ignore_errors=True)
        shutil.rmtree(home.data_dir(DEFAULT_STACK).parent, ignore_errors=True)


def _print_output(home: Home, apps: list[str], stopped: list[int], as_json: bool) -> None:
    folders = [home.log_dir(DEFAULT_STACK, app) for app in apps]
    followers = [Follower(folder, logged_processes(Path(folder))) for folder in folders]
    try:
        while not stopped:
            records = [record for follower in followers for record in follower.poll()]
            for record in sorted(records, key=lambda record: record.time):
                show_record(record, as_json)
            time.sleep(POLL_S)
    except KeyboardInterrupt:
        return
    finally:
        for follower in followers:
            follower.close()
