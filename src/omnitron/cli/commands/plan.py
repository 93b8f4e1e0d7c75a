"""`plan`: what `up` would change."""

import click

from omnitron.cli.command import command
from omnitron.cli.connect import connect_or_start
from omnitron.cli.definition import checked, refuse_errors
from omnitron.cli.output import EXIT_FAILED, dim, echo, echo_json, state


@command(stack=True)
@click.argument("path", required=False, type=click.Path())
@click.option("--config", type=click.Path(exists=True), help="The definition file, instead of PATH.")
def plan(path: str | None, config: str | None, stack: str | None, as_json: bool) -> int:
    """What `up` would change, in the order it would, and why. Nothing is changed."""
    description, findings = checked(config or path)
    if refuse_errors(findings, as_json):
        return EXIT_FAILED
    with connect_or_start() as daemon:
        found = daemon.plan(description, stack)
    if as_json:
        echo_json(found)
    else:
        for finding in found.findings:
            echo(
                f"{state(finding.level)} [{finding.code}] {finding.subject}: {finding.message}\n  fix: {finding.remedy}"
            )
        changes = [change for change in found.changes if change.action != "keep"]
        for change in changes:
            echo(f"{state(change.action):<8} {change.subject}  {dim(change.reason)}")
        if not changes:
            echo("Nothing to do: everything is as declared.")
    return EXIT_FAILED if any(f.level == "error" for f in found.findings) else 0
