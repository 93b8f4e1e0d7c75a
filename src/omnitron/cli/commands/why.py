"""`why` and `events`: explanations from the history."""

import datetime

import click

from omnitron.cli.command import command, target_argument
from omnitron.cli.connect import connect
from omnitron.cli.output import dim, echo, echo_json, echo_line, paint
from omnitron.control.events import Event

_COLOURS = {"error": "red", "warning": "yellow"}


@command(stack=True, epilog="  omnitron why market\n  omnitron why market/http/0")
@target_argument()
def why(target: str, stack: str | None, as_json: bool) -> None:
    """Why an app, a process or a replica is in the state it is in: the reasons, the latest events, the last output."""
    with connect() as daemon:
        found = daemon.why(stack, target)
    if as_json:
        echo_json(found)
        return
    for sentence in found.summary:
        echo(sentence)
    if found.events:
        echo(dim("\nevents"))
        for event in found.events:
            echo(f"  {event_line(event)}")
    if found.output:
        echo(dim("\nlast output"))
        for line in found.output:
            echo(f"  {line}")


@command(stack=True)
@target_argument(required=False, metavar="[NAME]")
@click.option("-n", "--last", default=50, show_default=True, help="How many.")
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
def events(target: str | None, last: int, follow: bool, stack: str | None, as_json: bool) -> None:
    """What happened, latest last, each with its reason."""
    with connect() as daemon:
        for event in daemon.events(stack, target, last, follow):
            if as_json:
                echo_line(event)
            else:
                echo(event_line(event))


def event_line(event: Event) -> str:
    """One event for people."""
    at = datetime.datetime.fromtimestamp(event.time).strftime("%H:%M:%S.%f")[:-3]
    return f"{dim(at)} {event.subject} {paint(event.kind, _COLOURS.get(event.level))}  {event.reason}"
