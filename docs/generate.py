"""Writes the generated documentation: definition, command line, errors, JSON. `make docs`; a test compares."""

import enum
import inspect
import sys
import types
import typing
from pathlib import Path

import click
import msgspec

from omnitron.base import errors
from omnitron.cli.main import SECTIONS, cli
from omnitron.control import daemon, events, keeper
from omnitron.model import (
    ecosystem,
    health,
    hooks,
    infrastructure,
    needs,
    process,
    restart,
    routes,
    scaling,
    shutdown,
    stack,
    system,
    topology,
    transports,
)

HERE = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py; `make docs` renews it. -->\n"
DEFINITION = (
    system, process, transports, topology, health, scaling, restart, routes, hooks, shutdown, needs, ecosystem,
    infrastructure, stack,
)  # fmt: skip


def type_text(hint: object) -> str:
    """An annotation as people read it."""
    if hint is type(None):
        return "None"
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(type_text(arg) for arg in args)
    if origin is typing.Literal:
        return " or ".join(repr(arg) for arg in args)
    if origin is not None:
        inner = ", ".join("..." if arg is ... else type_text(arg) for arg in args)
        return f"{getattr(origin, '__name__', origin)}[{inner}]"
    return getattr(hint, "__name__", str(hint))


def struct_text(struct: type[msgspec.Struct]) -> str:
    """One struct: its docstring and a table of its fields."""
    hints = typing.get_type_hints(struct)
    lines = [
        f"### {struct.__name__}",
        "",
        inspect.getdoc(struct) or "",
        "",
        "| field | type | default |",
        "|---|---|---|",
    ]
    for field in msgspec.structs.fields(struct):
        if field.default is not msgspec.NODEFAULT:
            default = f"`{default_text(field.default)}`"
        elif field.default_factory is not msgspec.NODEFAULT:
            default = f"`{default_text(field.default_factory())}`"
        else:
            default = "required"
        kind = type_text(hints[field.name]).replace("|", "\\|")
        lines.append(f"| `{field.name}` | {kind} | {default} |")
    return "\n".join(lines)


def default_text(value: object) -> str:
    if isinstance(value, enum.Enum):
        return repr(value.value)
    return f"{type(value).__name__}()" if isinstance(value, msgspec.Struct) else repr(value)


def structs(module: types.ModuleType) -> list[type[msgspec.Struct]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == module.__name__
    ]


def definition() -> str:
    parts = [
        NOTE,
        "# Definition",
        "",
        'Durations are seconds or text like "15s", sizes bytes or text like "10GiB".',
        "",
    ]
    for module in DEFINITION:
        parts += [f"## {(module.__doc__ or '').strip().splitlines()[0]}", ""]
        parts += [struct_text(struct) + "\n" for struct in structs(module)]
    return "\n".join(parts)


def commands() -> str:
    context = click.Context(cli, info_name="omnitron", terminal_width=100)
    parts = [NOTE, "# Command line", "", "```", cli.get_help(context), "```", ""]
    for title, section in SECTIONS.items():
        parts += [f"## {title}", ""]
        for name in section:
            command = cli.get_command(context, name)
            assert command is not None
            own = click.Context(command, info_name=name, parent=context, terminal_width=100)
            parts += [f"### {name}", "", "```", command.get_help(own), "```", ""]
    return "\n".join(parts)


def errors_text() -> str:
    parts = [
        NOTE,
        "# Errors",
        "",
        "Codes are stable. On the wire, over HTTP and with `--json` an error is found by its code.",
        "",
    ]
    parts += ["| code | class | kind of | meaning |", "|---|---|---|---|"]
    known = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.OmnitronError)]
    for cls in known:
        text = " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())
        parts.append(f"| `{cls.code}` | {cls.__name__} | {cls.__bases__[0].__name__} | {text} |")
    return "\n".join(parts) + "\n"


def json_text() -> str:
    parts = [NOTE, "# JSON", "", "What commands print with `--json`, and what the daemon's API carries.", ""]
    for module in (daemon, keeper, events):
        parts += [struct_text(struct) + "\n" for struct in structs(module)]
    return "\n".join(parts)


PAGES = {
    "reference/definition.md": definition,
    "reference/cli.md": commands,
    "reference/json.md": json_text,
    "errors.md": errors_text,
}


def main() -> int:
    """Write the pages; with --check only compare, exit code 1 if one is out of date."""
    stale = [name for name, make in PAGES.items() if not same(HERE / name, make())]
    if "--check" in sys.argv:
        print("\n".join(f"out of date: docs/{name}" for name in stale))
        return bool(stale)
    for name, make in PAGES.items():
        (HERE / name).parent.mkdir(parents=True, exist_ok=True)
        (HERE / name).write_text(make())
    return 0


def same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main())
