"""What visitors (CLI, console, tests) ask of the daemon: service "omnitron.daemon@1" on `<home>/daemon.sock`.

A visitor describes a definition itself, in a throwaway process of the app's own interpreter, and hands the result in;
so the daemon never imports user code. Calls that take longer than a second are streams of `Progress`.
"""

from collections.abc import AsyncIterator
from typing import Any, Protocol

import msgspec

from omnitron.control.events import Event
from omnitron.control.keeper import AppStatus, ServiceEndpoints
from omnitron.control.service import control_service
from omnitron.model.facts import Description
from omnitron.model.finding import Finding

DAEMON_SERVICE = "omnitron.daemon@1.0.0"


class DaemonInfo(msgspec.Struct, frozen=True, kw_only=True):
    pid: int
    version: str
    home: str
    since: float
    python: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a plan. action: create, update, reload, restart, remove, keep. reason: why, in words."""

    action: str
    subject: str
    reason: str = ""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """changes: in the order they would be made. findings: errors refuse the plan."""

    stack: str
    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """subject and state as they change; done: the subject needs no more waiting; final: the whole operation ended."""

    subject: str
    state: str
    detail: str = ""
    done: bool = False
    failed: bool = False
    final: bool = False


class InfraStatus(msgspec.Struct, frozen=True, kw_only=True):
    """state: starting, ready, failed, stopped. version: of the server. used_by: apps."""

    name: str
    preset: str
    driver: str
    state: str
    port: int | None = None
    pid: int | None = None
    version: str = ""
    used_by: tuple[str, ...] = ()
    detail: str = ""


class StackStatus(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    state: str
    apps: tuple[AppStatus, ...] = ()
    infrastructure: tuple[InfraStatus, ...] = ()


class Status(msgspec.Struct, frozen=True, kw_only=True):
    daemon: DaemonInfo
    stacks: tuple[StackStatus, ...] = ()


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """summary: the present state and its reason in sentences. events: the latest, oldest first. output: last lines."""

    subject: str
    summary: tuple[str, ...]
    events: tuple[Event, ...] = ()
    output: tuple[str, ...] = ()


@control_service(DAEMON_SERVICE)
class DaemonApi(Protocol):
    """`target` is "app", "app/process" or "app/process/slot"; `stack` None means the only one, else DEFAULT_STACK."""

    async def ping(self) -> DaemonInfo: ...
    async def plan(self, description: Description, stack: str | None) -> Plan: ...
    def up(self, description: Description, stack: str | None) -> AsyncIterator[Progress]: ...
    def down(self, stack: str | None, app: str | None, infrastructure: bool) -> AsyncIterator[Progress]:
        """Stop the app (None: all of the stack, with its infrastructure if so asked) in order; data stays."""

    async def status(self, stack: str | None) -> Status: ...
    def start(self, stack: str | None, target: str) -> AsyncIterator[Progress]: ...
    def stop(self, stack: str | None, target: str) -> AsyncIterator[Progress]: ...
    def restart(self, stack: str | None, target: str) -> AsyncIterator[Progress]: ...
    def reload(self, stack: str | None, target: str, description: Description | None) -> AsyncIterator[Progress]: ...
    def scale(self, stack: str | None, target: str, count: int) -> AsyncIterator[Progress]: ...
    async def endpoints(self, stack: str | None) -> list[ServiceEndpoints]: ...
    async def env(self, stack: str | None, target: str) -> dict[str, str]: ...
    async def inspect(self, stack: str | None, target: str) -> dict[str, Any]: ...
    async def why(self, stack: str | None, target: str) -> Why: ...
    def events(self, stack: str | None, target: str | None, last: int, follow: bool) -> AsyncIterator[Event]: ...
    async def shutdown(self, apps: bool) -> None:
        """End the daemon; with `apps` everything it supervises first, by force where it does not end in time."""
