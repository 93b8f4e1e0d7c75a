"""`omnitron`: the table of commands, each imported only when it is used, so that `status` stays quick."""

import importlib
import os
import sys
from typing import Final

import click

from omnitron.base.names import suggest
from omnitron.cli.output import EXIT_REFUSED, print_error

SECTIONS: Final[dict[str, dict[str, tuple[str, str]]]] = {
    "Run a system": {
        "up": ("up", "Make what a definition declares so, and wait until it is ready."),
        "down": ("up", "Stop an app or a whole stack, in order. Data stays."),
        "run": ("run", "Run one system in the foreground, without a daemon."),
        "init": ("init", "Write a first system to start from."),
    },
    "Look": {
        "status": ("status", "Stacks, apps, processes and infrastructure at a glance."),
        "ps": ("status", "One line per replica."),
        "logs": ("logs", "Output of apps and processes: tail, follow, filter."),
        "why": ("why", "Why something is in the state it is in."),
        "events": ("why", "What happened, latest last."),
        "inspect": ("inspect", "Everything known about an app, a process or a replica."),
        "env": ("inspect", "The environment a process is given."),
    },
    "Act": {
        "start": ("act", "Start what was stopped."),
        "stop": ("act", "Stop an app, a process or a replica until it is started again."),
        "restart": ("act", "Stop and start."),
        "reload": ("act", "Replace replicas one by one, without losing a request."),
        "scale": ("act", "Set the number of replicas of a process."),
        "call": ("call", "Call a method of a service."),
    },
    "Before you start": {
        "check": ("check", "Find everything that is wrong with a definition."),
        "plan": ("plan", "What `up` would change."),
        "config": ("check", "The definition as read, or its JSON schema."),
        "doctor": ("doctor", "Whether this machine has what the definitions need."),
    },
    "The daemon": {
        "ping": ("daemon", "Whether the daemon answers."),
        "kill": ("daemon", "Stop everything, then the daemon."),
        "completion": ("completion", "Shell completion for bash, zsh and fish."),
    },
}
COMMANDS: Final = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class Table(click.Group):
    """A group that knows its commands' names and one-line help without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"There is no command {args[0]!r}.{suggest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"omnitron.cli.commands.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, text) for name, (_, text) in commands.items()])


@click.group(cls=Table, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="omnitron", message="%(version)s")
def cli() -> None:
    """Omnitron: one typed file declares apps, processes and infrastructure; `up` makes it so and keeps it so.

    \b
    First steps:   omnitron init && omnitron up
    Names:         app, app/process, app/process/slot  (as in market, market/http, market/http/0)
    Exit codes:    0 ok, 1 failed, 2 daemon unreachable, 3 refused (wrong usage included)
    Environment:   OMNITRON_HOME (default ~/.omnitron), NO_COLOR
    """


def main() -> None:
    """The console script."""
    try:
        code = cli.main(standalone_mode=False, prog_name="omnitron")
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        code = 0
    except click.UsageError as error:
        print_error(error.format_message(), f"Try `{error.ctx.command_path if error.ctx else 'omnitron'} --help`.")
        code = EXIT_REFUSED
    except click.ClickException as error:
        print_error(error.format_message(), "")
        code = 1
    except click.Abort:
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code if isinstance(code, int) else 0)
