"""From a process's specification to what is started: program, environment, folder, boot message. Pure."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from omnitron.base.home import HOME_VARIABLE
from omnitron.base.names import ReplicaId
from omnitron.control.keeper import AppSpec, ProcessSpec
from omnitron.control.replica import ENV_BOOT, ENV_INCARNATION, ENV_INSTANCE_ID, ENV_STACK, BootSpec

_OURS: Final = "OMNITRON_"


def environment(
    base: Mapping[str, str], home: Path, app: AppSpec, spec: ProcessSpec, slot: int, incarnation: int
) -> dict[str, str]:
    """base: the keeper's own; our variables in it are not handed on. Prints of Python programs come at once."""
    return {
        "PYTHONUNBUFFERED": "1",
        **{name: value for name, value in base.items() if not name.startswith(_OURS)},
        **spec.env,
        HOME_VARIABLE: str(home),
        ENV_INSTANCE_ID: str(ReplicaId(app.app, spec.process.name, slot)),
        ENV_STACK: app.stack,
        ENV_INCARNATION: str(incarnation),
    }


def folder(app: AppSpec, spec: ProcessSpec) -> str:
    return str(Path(app.cwd, spec.process.cwd or ""))


def program(app: AppSpec, spec: ProcessSpec) -> tuple[str, ...]:
    return spec.process.command or (app.python, "-m", "omnitron.child")


def boot_message(
    app: AppSpec, spec: ProcessSpec, run: Path, slot: int, incarnation: int, descriptors: Mapping[str, int]
) -> BootSpec:
    """descriptors: numbers under which the replica finds "control", and where declared "http" and "websocket"."""
    process = spec.process
    return BootSpec(
        stack=app.stack,
        app=app.app,
        version=app.version,
        process=msgspec.to_builtins(process),
        slot=slot,
        incarnation=incarnation,
        cwd=folder(app, spec),
        control_fd=descriptors["control"],
        http_fd=descriptors.get("http"),
        websocket_fd=descriptors.get("websocket"),
        lease_path=str(run / f"{process.name}.lease") if process.singleton else None,
        keeper_socket=str(run / "keeper.sock"),
        siblings=spec.count,
        dev=app.dev,
    )


def boot_variable(boot: BootSpec) -> tuple[str, str]:
    return ENV_BOOT, json.dumps(msgspec.to_builtins(boot))


def wants_template(spec: ProcessSpec) -> bool:
    """Fork from a process that has imported the module: several replicas, or said so; a lone process gains nothing."""
    process = spec.process
    if process.module is None or process.preload is False:
        return False
    return process.preload is True or (not process.singleton and max(spec.count, process.instances) > 1)
