"""When must a replica be replaced? When what it was started with differs: its definition, environment or code.

A fingerprint is "definition.code", two hashes, so that a plan can say which of them changed. What only the keeper acts
upon (how many, when to restart, in which order) is left out: changing it replaces nothing.
"""

import hashlib
from collections.abc import Mapping
from typing import Final

import msgspec

from omnitron.model.process import Process

_KEEPER_ONLY: Final = ("instances", "scaling", "restart", "recycle", "depends_on", "critical", "startup_timeout")
_DIGITS: Final = 16


def digest(*values: object) -> str:
    """16 hexadecimal digits over any JSON-compatible values or structs; the order of keys does not matter."""
    return hashlib.sha256(msgspec.json.encode(values, order="deterministic")).hexdigest()[:_DIGITS]


def replica_definition(process: Process) -> dict[str, object]:
    """The fields of a definition that a replica is started with."""
    fields: dict[str, object] = msgspec.to_builtins(process)
    return {name: value for name, value in fields.items() if name not in _KEEPER_ONLY}


def runs_code(process: Process) -> bool:
    """Whether it runs Python code of the app's folder, as far as can be told from its definition."""
    command = process.command or ()
    return process.command is None or any(part == "-m" or part.endswith(".py") for part in command)


def fingerprint(process: Process, env: Mapping[str, str], ports: Mapping[str, int], code: str) -> str:
    """code: hash of the app's code (daemon.code)."""
    return f"{digest(replica_definition(process), env, ports)}.{code if runs_code(process) else '-'}"


def code_part(value: str) -> str:
    return value.partition(".")[2]
