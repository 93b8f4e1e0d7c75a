"""`inspect` and `env`."""

import re

import click

from omnitron.cli.command import command, target_argument
from omnitron.cli.connect import connect
from omnitron.cli.output import echo, echo_json

_SECRET_IN_URL = re.compile(r"(?<=://)([^:/@]*):[^@]+@")
_SECRET_NAME = re.compile(r"PASSWORD|SECRET|TOKEN|PRIVATE|API_?KEY", re.IGNORECASE)


@command(stack=True)
@target_argument()
def inspect(target: str, stack: str | None, as_json: bool) -> None:
    """Everything known about an app, a process or a replica, as JSON."""
    with connect() as daemon:
        echo_json(daemon.inspect(stack, target))


@command(stack=True, epilog='  eval "$(omnitron env market/http --show-secrets | sed s/^/export\\ /)"')
@target_argument()
@click.option("--show-secrets", is_flag=True, help="Print passwords in full.")
def env(target: str, show_secrets: bool, stack: str | None, as_json: bool) -> None:
    """The environment a process is given; passwords are masked unless asked for."""
    with connect() as daemon:
        found = daemon.env(stack, target)
    if not show_secrets:
        found = {name: mask(name, value) for name, value in found.items()}
    if as_json:
        echo_json(found)
        return
    for name, value in sorted(found.items()):
        echo(f"{name}={value}")


def mask(name: str, value: str) -> str:
    """The value without its secret part."""
    if _SECRET_NAME.search(name):
        return "********"
    return _SECRET_IN_URL.sub(r"\1:********@", value)
