"""What the code behind a definition says of itself: read by `describe` in a throwaway process, checked by `check`."""

from typing import Any

import msgspec

from omnitron.model.ecosystem import Ecosystem
from omnitron.model.system import System


class ParamFact(msgspec.Struct, frozen=True):
    """type: the annotation as text."""

    name: str
    type: str
    required: bool = True


class MethodFact(msgspec.Struct, frozen=True):
    """One `@rpc` method. schema: JSON schema of the arguments object, None where the types have none."""

    name: str
    params: tuple[ParamFact, ...] = ()
    result: str = "None"
    stream: bool = False
    idempotent: bool = False
    anonymous: bool = False
    key: str | None = None
    doc: str = ""
    schema: dict[str, Any] | None = None


class ServiceFact(msgspec.Struct, frozen=True):
    """One `@service` class a process offers. module: where the class is defined."""

    name: str
    version: str
    class_name: str
    module: str
    methods: tuple[MethodFact, ...] = ()
    doc: str = ""


class NeedFact(msgspec.Struct, frozen=True):
    """One injected `Remote[T]`. where: "module:Class.param"; app: set when qualified by app."""

    class_name: str
    service: str | None
    version: str | None
    where: str
    app: str | None = None


class JobFact(msgspec.Struct, frozen=True):
    """One scheduled job. kind: cron, interval or once. error: why its expression can not be read, else ""."""

    name: str
    kind: str
    spec: str
    timezone: str = "UTC"
    every_replica: bool = False
    error: str = ""


class StreamFact(msgspec.Struct, frozen=True):
    """One declared `Stream`. max_age in seconds."""

    name: str
    where: str
    max_len: int | None = None
    max_age: float | None = None


class RouteFact(msgspec.Struct, frozen=True):
    """One HTTP route. source: "module:Class.method" or the custom route's handler."""

    method: str
    pattern: str
    source: str
    public: str | None = None
    auth: str | None = None


class ProcessFacts(msgspec.Struct, frozen=True):
    """What one process's module says. error: the last line of the import's traceback, trace: all of it."""

    process: str
    services: tuple[ServiceFact, ...] = ()
    needs: tuple[NeedFact, ...] = ()
    jobs: tuple[JobFact, ...] = ()
    streams: tuple[StreamFact, ...] = ()
    routes: tuple[RouteFact, ...] = ()
    threads_after_import: int = 0
    warnings: tuple[str, ...] = ()
    error: str | None = None
    trace: str | None = None


class AppFacts(msgspec.Struct, frozen=True):
    """cwd: absolute folder its modules are imported from. files: definition files read."""

    app: str
    system: System
    cwd: str
    processes: tuple[ProcessFacts, ...] = ()


class Description(msgspec.Struct, frozen=True):
    """What `describe` prints: the definition as read, and what its code says. path: absolute, of the definition."""

    path: str
    python: str
    ecosystem: Ecosystem
    apps: tuple[AppFacts, ...] = ()
