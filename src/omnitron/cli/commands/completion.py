"""`completion`: scripts for the shells."""

import click
from click.shell_completion import get_completion_class

from omnitron.cli.command import command
from omnitron.cli.output import echo, echo_json


@command(
    epilog='  eval "$(omnitron completion bash)"          in ~/.bashrc\n'
    '  eval "$(omnitron completion zsh)"           in ~/.zshrc\n'
    "  omnitron completion fish > ~/.config/fish/completions/omnitron.fish"
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str, as_json: bool) -> None:
    """Print the completion script of a shell: commands, options, and the names of what runs."""
    found = get_completion_class(shell)
    assert found is not None
    root = click.get_current_context().find_root().command
    script = found(root, {}, "omnitron", "_OMNITRON_COMPLETE").source()
    if as_json:
        echo_json({"shell": shell, "script": script})
    else:
        echo(script)
