"""What all commands share: `--json`, `--stack`, and errors that become messages and exit codes."""

import functools
import sys
from collections.abc import Callable
from typing import Any

import click

from omnitron.base.errors import OmnitronError
from omnitron.cli.output import fail


def command(*, stack: bool = False, epilog: str = "") -> Callable[[Callable[..., Any]], click.Command]:
    """Make a function a command; its docstring is the help, `epilog` the examples.

    The function takes `as_json` (and `stack`) and returns an exit code, None meaning 0.
    """

    def wrap(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def run(*args: Any, as_json: bool, **options: Any) -> None:
            try:
                code = function(*args, as_json=as_json, **options)
            except OmnitronError as error:
                code = fail(error, as_json)
            except KeyboardInterrupt:
                code = 130
            sys.exit(code or 0)

        options = [click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/json.md).")]
        if stack:
            options.append(
                click.option(
                    "--stack",
                    metavar="NAME",
                    shell_complete=complete_stack,
                    help="Which stack (default: the only one).",
                )
            )
        wrapped: Callable[..., Any] = run
        for option in options:
            wrapped = option(wrapped)
        text = f"\b\nExamples:\n{epilog}" if epilog else None
        return click.command(name=function.__name__.rstrip("_"), epilog=text)(wrapped)

    return wrap


def target_argument(
    *, required: bool = True, metavar: str = "NAME"
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An app, app/process or app/process/slot, completed from what runs."""
    return click.argument("target", required=required, metavar=metavar, shell_complete=complete_target)


def complete_target(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of what runs; nothing when the daemon does not answer."""
    return [name for name in _names(ctx) if name.startswith(incomplete)]


def complete_stack(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from omnitron.cli.connect import connect

    try:
        with connect() as daemon:
            return [s.name for s in daemon.status(None).stacks if s.name.startswith(incomplete)]
    except OmnitronError:
        return []


def _names(ctx: click.Context) -> list[str]:
    from omnitron.cli.connect import connect

    try:
        with connect() as daemon:
            status = daemon.status(ctx.params.get("stack"))
    except OmnitronError:
        return []
    apps = [app for stack in status.stacks for app in stack.apps]
    processes = [f"{app.app}/{process.name}" for app in apps for process in app.processes]
    return [app.app for app in apps] + processes
