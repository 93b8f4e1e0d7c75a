"""`ping` and `kill`."""

import fcntl
import time
from typing import Final

import click

from omnitron.base.home import Home
from omnitron.cli.command import command
from omnitron.cli.connect import connect
from omnitron.cli.output import echo, echo_json

KILL_WAIT_S: Final = 60.0
POLL_S: Final = 0.01


@command()
def ping(as_json: bool) -> None:
    """Whether the daemon answers, and how quickly. Exit code 2 if not."""
    started = time.perf_counter()
    with connect() as daemon:
        info = daemon.ping()
    took_ms = (time.perf_counter() - started) * 1000
    if as_json:
        echo_json({"daemon": info, "took_ms": round(took_ms, 3)})
    else:
        echo(f"daemon {info.version}, pid {info.pid}, answered in {took_ms:.1f} ms")


@command()
@click.option(
    "--daemon-only", is_flag=True, help="Leave apps and infrastructure running; `omnitron up` finds them again."
)
def kill(daemon_only: bool, as_json: bool) -> None:
    """Stop everything in every stack, in order, then the daemon. Data stays."""
    home = Home.from_env()
    with connect(home, timeout_s=KILL_WAIT_S) as daemon:
        daemon.shutdown(not daemon_only)
    wait_until_gone(home)
    if as_json:
        echo_json({"stopped": "daemon" if daemon_only else "everything"})
    else:
        echo("The daemon has stopped; apps run on." if daemon_only else "Everything has stopped.")


def wait_until_gone(home: Home) -> None:
    """Return when no daemon holds the home any more, or after KILL_WAIT_S. Its lock is the last thing it lets go of."""
    deadline = time.monotonic() + KILL_WAIT_S
    with open(home.daemon_lock, "ab") as lock:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(POLL_S)
            else:
                return
