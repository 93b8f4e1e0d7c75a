"""`start`, `stop`, `restart`, `reload`, `scale`: commands that act on what runs."""

import click

from omnitron.cli.command import command, target_argument
from omnitron.cli.connect import connect
from omnitron.cli.definition import checked, refuse_errors
from omnitron.cli.output import EXIT_FAILED
from omnitron.cli.progress import follow


def _act(verb: str, stack: str | None, target: str, as_json: bool) -> int:
    with connect() as daemon:
        return follow(daemon.act(verb, stack, target), as_json)


@command(stack=True, epilog="  omnitron start market/http")
@target_argument()
def start(target: str, stack: str | None, as_json: bool) -> int:
    """Start what was stopped, what it depends on first."""
    return _act("start", stack, target, as_json)


@command(stack=True, epilog="  omnitron stop market/collector")
@target_argument()
def stop(target: str, stack: str | None, as_json: bool) -> int:
    """Stop an app, a process or a replica until it is started again, callers first, work in flight finished."""
    return _act("stop", stack, target, as_json)


@command(stack=True, epilog="  omnitron restart settlement/deposit-worker")
@target_argument()
def restart(target: str, stack: str | None, as_json: bool) -> int:
    """Stop and start with the code as it is now; the rest of the app serves on. Without interruption: `reload`."""
    return _act("restart", stack, target, as_json)


@command(stack=True, epilog="  omnitron reload market\n  omnitron reload market/http --config system.py")
@target_argument()
@click.option("--config", type=click.Path(exists=True), help="Read the definition again from here first.")
def reload(target: str, config: str | None, stack: str | None, as_json: bool) -> int:
    """Replace replicas one by one with new code: new ones ready before old ones drain, no request lost.

    If the new code does not become ready, the old one goes on serving and the command fails with the reason.
    """
    description = None
    if config:
        description, findings = checked(config)
        if refuse_errors(findings, as_json):
            return EXIT_FAILED
    with connect() as daemon:
        return follow(daemon.act("reload", stack, target, description), as_json)


@command(stack=True, epilog="  omnitron scale market/ohlcv-aggregator 4")
@target_argument(metavar="APP/PROCESS")
@click.argument("count", type=click.IntRange(min=0))
def scale(target: str, count: int, stack: str | None, as_json: bool) -> int:
    """Set the number of replicas of a process. Refused for singletons."""
    with connect() as daemon:
        return follow(daemon.act("scale", stack, target, count), as_json)
