"""`init`: a first system, small enough to read at a glance and real enough to start from."""

from pathlib import Path
from typing import Final

import click

from omnitron.base.errors import Refused
from omnitron.base.names import check_name
from omnitron.cli.command import command
from omnitron.cli.output import dim, echo, echo_json

_SYSTEM: Final = '''"""The {name} system: one HTTP process and a pool of two workers."""

from omnitron import Http, Process, Topology, Transports, define_system

system = define_system(
    name="{name}",
    version="0.1.0",
    processes=[
        Process(
            name="http",
            module="{module}.api",
            transports=Transports(http=Http(port=8080)),
            topology=Topology(access=["Greeter"]),
        ),
        Process(name="greeter", module="{module}.greeter", instances=2, topology=Topology(expose=True)),
    ],
)
'''

_API: Final = '''"""What the outside sees."""

from omnitron import Remote, route, rpc, service
from starlette.requests import Request

from {module}.greeter import Greeter


@service("{name}@1.0.0")
class Api:
    def __init__(self, greeter: Remote[Greeter]) -> None:
        self.greeter = greeter

    @route("GET", "/hello/{{name}}", public="a greeting is for everybody")
    async def hello(self, request: Request) -> dict[str, str]:
        return {{"greeting": await self.greeter.greet(request.path_params["name"])}}

    @rpc(anonymous=True)
    async def greet(self, name: str) -> str:
        return await self.greeter.greet(name)
'''

_GREETER: Final = '''"""A pool: calls go to the replica with the least to do."""

import os

from omnitron import rpc, service


@service("greeter@1.0.0")
class Greeter:
    @rpc(idempotent=True)
    async def greet(self, name: str) -> str:
        return f"Hello {{name}}, from {{os.environ['OMNITRON_INSTANCE_ID']}}"
'''


@command(epilog="  omnitron init shop && cd shop && omnitron up")
@click.argument("path", default=".", type=click.Path(file_okay=False))
@click.option("--name", help="Of the app (default: the folder's).")
def init(path: str, name: str | None, as_json: bool) -> None:
    """Write a first system to start from: system.py, an HTTP process and a pool of workers. Overwrites nothing."""
    folder = Path(path).absolute()
    app = check_name(name or "-".join(folder.name.lower().replace("_", "-").split()), "app")
    module = app.replace("-", "_")
    files = {
        "system.py": _SYSTEM,
        f"{module}/__init__.py": "",
        f"{module}/api.py": _API,
        f"{module}/greeter.py": _GREETER,
    }
    present = [file for file in files if (folder / file).exists()]
    if present:
        raise Refused(f"{folder / present[0]} is there already.", remedy="Use another folder, or remove it.")
    for file, text in files.items():
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text.format(name=app, module=module) if text else "")
    if as_json:
        echo_json({"folder": str(folder), "files": list(files)})
        return
    for file in files:
        echo(f"  {file}")
    echo(f"\nNext: {'' if path == '.' else f'cd {path} && '}omnitron up && curl http://127.0.0.1:8080/hello/world")
    echo(dim("      omnitron status, omnitron logs -f, omnitron down"))
