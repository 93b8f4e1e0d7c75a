"""`check` and `config`: what a definition says, and what is wrong with it."""

import click

from omnitron.cli.command import command
from omnitron.cli.definition import checked, describe, show_findings
from omnitron.cli.output import EXIT_FAILED, echo, echo_json, paint


@command(epilog="  omnitron check\n  omnitron check examples/01-stream-fan-in --surface")
@click.argument("path", required=False, type=click.Path())
@click.option("--surface", is_flag=True, help="List everything that can be reached, and by whom.")
def check(path: str | None, surface: bool, as_json: bool) -> int:
    """Find everything that is wrong with a definition, before anything starts. Exit code 1 if there is an error."""
    description, findings = checked(path)
    if surface:
        rows = [
            {
                "app": app.app,
                "process": p.process,
                "kind": "http",
                "what": f"{r.method} {r.pattern}",
                "who": r.public or r.auth,
            }
            for app in description.apps
            for p in app.processes
            for r in p.routes
        ] + [
            {
                "app": app.app,
                "process": p.process,
                "kind": "rpc",
                "what": f"{s.name}@{s.version}.{m.name}",
                "who": "anyone" if m.anonymous else "processes with access",
            }
            for app in description.apps
            for p in app.processes
            for s in p.services
            for m in s.methods
        ]
        if as_json:
            echo_json({"surface": rows, "findings": findings})
            return EXIT_FAILED if any(f.level == "error" for f in findings) else 0
        for row in rows:
            echo(f"{row['app']}/{row['process']}  {row['kind']:<5} {row['what']}  ({row['who']})")
    show_findings(findings, as_json)
    errors = sum(f.level == "error" for f in findings)
    if not as_json and not errors:
        processes = sum(len(app.processes) for app in description.apps)
        echo(f"{paint('ok', 'green')}: {len(description.apps)} app(s), {processes} process(es), {description.path}")
    return EXIT_FAILED if errors else 0


@command()
@click.argument("path", required=False, type=click.Path())
@click.option("--schema", is_flag=True, help="The JSON schema of definitions instead.")
def config(path: str | None, schema: bool, as_json: bool) -> None:
    """The definition as read, with every default filled in, as JSON; or its JSON schema."""
    if schema:
        from omnitron.model.schema import definition_schema

        echo_json(definition_schema())
        return
    echo_json(describe(path).ecosystem)
