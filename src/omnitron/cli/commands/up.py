"""`up` and `down`."""

import click

from omnitron.cli.command import command, target_argument
from omnitron.cli.connect import connect, connect_or_start
from omnitron.cli.definition import checked, refuse_errors
from omnitron.cli.output import EXIT_FAILED, dim, echo
from omnitron.cli.progress import follow
from omnitron.control.daemon import Status


@command(
    stack=True,
    epilog="  omnitron up                        the definition found from here upwards\n"
    "  omnitron up examples/01-stream-fan-in\n"
    "  omnitron up --stack staging",
)
@click.argument("path", required=False, type=click.Path())
@click.option("--config", type=click.Path(exists=True), help="The definition file, instead of PATH.")
def up(path: str | None, config: str | None, stack: str | None, as_json: bool) -> int:
    """Make what a definition declares so, and wait until it is ready.

    Starts the daemon if need be, checks the definition, starts what is missing, reloads what has changed and leaves
    alone what has not: running it twice does nothing the second time.
    """
    description, findings = checked(config or path)
    if refuse_errors(findings, as_json):
        return EXIT_FAILED
    with connect_or_start() as daemon:
        code = follow(daemon.up(description, stack), as_json)
        if code == 0 and not as_json:
            _where(daemon.status(stack), {app.app for app in description.apps})
    return code


def _where(status: Status, apps: set[str]) -> None:
    """What one can do next."""
    for stack in status.stacks:
        for app in stack.apps:
            if app.app not in apps:
                continue
            for process in app.processes:
                if "http" in process.ports:
                    echo(f"  http://127.0.0.1:{process.ports['http']}  {dim(f'{app.app}/{process.name}')}")
    echo(dim("  omnitron status    omnitron logs -f    omnitron down"))


@command(
    stack=True,
    epilog="  omnitron down           all apps of the stack, then its infrastructure\n  omnitron down market",
)
@target_argument(required=False, metavar="[APP]")
@click.option("--infra", is_flag=True, help="Stop the infrastructure of the stack as well, even when an APP is named.")
def down(target: str | None, infra: bool, stack: str | None, as_json: bool) -> int:
    """Stop an app, or a whole stack with its infrastructure, callers first. Data stays."""
    with connect() as daemon:
        return follow(daemon.down(stack, target, infra or target is None), as_json)
