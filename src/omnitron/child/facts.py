"""What the modules of one app say: `python -m omnitron.child.facts`, a throwaway process for each working directory.

Reads a list of processes (model.process.Process as JSON) from standard input and writes one line for each, ProcessFacts
as JSON, as soon as it knows: so if a module ends the interpreter, its predecessors' facts are not lost.
"""

import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from cronsim import CronSim, CronSimError

from omnitron.base.errors import OmnitronError
from omnitron.child.assembly import Assembly, assemble
from omnitron.child.blame import blame
from omnitron.child.graph import shown
from omnitron.child.reader import contract
from omnitron.declare.schedule import CronMark, IntervalMark, ScheduleMark
from omnitron.declare.service import service_mark
from omnitron.model.facts import (
    JobFact,
    MethodFact,
    NeedFact,
    ParamFact,
    ProcessFacts,
    RouteFact,
    ServiceFact,
    StreamFact,
)  # fmt: skip
from omnitron.model.process import Process
from omnitron.rpc.contract import MethodContract


def main() -> None:
    out = take_stdout()
    sys.path.insert(0, os.getcwd())
    for process in msgspec.json.decode(sys.stdin.buffer.read(), type=list[Process]):
        out.write(msgspec.json.encode(read_facts(process), enc_hook=str) + b"\n")
        out.flush()
    os._exit(0)  # what user modules left running has no say in when this process ends


def take_stdout() -> BinaryIO:
    """Standard output for ourselves; what user code prints goes to standard error, and what it forks has no say."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    os.register_at_fork(after_in_child=lambda: _mute(out.fileno()))
    return out


def _mute(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, descriptor, inheritable=False)
    os.close(null)


def read_facts(process: Process) -> ProcessFacts:
    """Import the process's code and say what is in it; what goes wrong is a fact too."""
    os.environ.update(process.env)
    threads = threading.active_count()
    try:
        facts = facts_of(process, assemble(process))
        return msgspec.structs.replace(facts, threads_after_import=threading.active_count() - threads)
    except (Exception, SystemExit) as error:
        message, trace = blame(error, Path.cwd())
        remedy = f" {error.remedy}" if isinstance(error, OmnitronError) and error.remedy else ""
        return ProcessFacts(process.name, error=message + remedy, trace=trace)


def facts_of(process: Process, assembly: Assembly) -> ProcessFacts:
    """Raises DefinitionError for a service whose methods can not be called."""
    offer = assembly.offer
    return ProcessFacts(
        process=process.name,
        services=tuple(_service(cls) for cls in offer.services),
        needs=tuple(_need(target, where, offer.module.__name__) for target, where in assembly.graph.remotes()),
        jobs=tuple(_job(f"{cls.__qualname__}.{function.__name__}", mark) for cls, function, mark in offer.jobs()),
        streams=tuple(_streams(offer.module)),
        routes=tuple(
            RouteFact(r.method, r.pattern, r.target.ref, r.public, None if r.auth is None else str(r.auth))
            for r in assembly.routes
        ),
    )


def _service(cls: type) -> ServiceFact:
    served = contract(cls)
    methods = tuple(_method(cls, method) for method in served.methods.values())
    doc = (cls.__doc__ or "").strip()
    return ServiceFact(served.name, served.version, cls.__qualname__, cls.__module__, methods, doc)


def _method(cls: type, method: MethodContract) -> MethodFact:
    return MethodFact(
        name=method.name,
        params=tuple(ParamFact(p.name, shown(p.annotation), p.required) for p in method.params),
        result=shown(method.result),
        stream=method.stream,
        idempotent=method.mark.idempotent,
        anonymous=method.mark.anonymous,
        key=method.mark.key,
        doc=(getattr(cls, method.name).__doc__ or "").strip(),
        schema=_schema(method),
    )


def _schema(method: MethodContract) -> dict[str, Any] | None:
    """JSON schema of the arguments as an object; None if one of the types (a pydantic model) has none."""
    try:
        schemas, components = msgspec.json.schema_components(
            [p.annotation for p in method.params], ref_template="#/$defs/{name}"
        )
    except TypeError:
        return None
    properties = {param.name: schema for param, schema in zip(method.params, schemas, strict=True)}
    required = [param.name for param in method.params if param.required]
    result: dict[str, Any] = {"type": "object", "properties": properties, "required": required}
    return {**result, "$defs": components} if components else result


def _need(target: type, where: str, module: str) -> NeedFact:
    mark = service_mark(target)
    name, version = (mark.name, mark.version) if mark is not None else (None, None)
    return NeedFact(target.__qualname__, name, version, f"{module}:{where}")


def _job(name: str, mark: ScheduleMark) -> JobFact:
    name, every = mark.policy.name or name, mark.policy.every_replica
    if isinstance(mark, CronMark):
        return JobFact(name, "cron", mark.expression, mark.timezone, every, _cron_error(mark))
    if isinstance(mark, IntervalMark):
        return JobFact(name, "interval", f"{mark.every_s}s", every_replica=every)
    spec = f"at {mark.at.isoformat()}" if mark.at is not None else f"after {mark.after_s}s"
    return JobFact(name, "once", spec, every_replica=every)


def _cron_error(mark: CronMark) -> str:
    try:
        CronSim(mark.expression, datetime(2000, 1, 1, tzinfo=UTC))
        ZoneInfo(mark.timezone)
    except CronSimError as error:
        return f"{error} in {mark.expression!r}"
    except (ZoneInfoNotFoundError, ValueError):
        return f"there is no time zone {mark.timezone!r}"
    return ""


def _streams(module: Any) -> list[StreamFact]:
    found = []
    for name, value in vars(module).items():
        mark = getattr(value, "__omnitron_stream__", None)
        if mark is not None and not isinstance(value, type):
            found.append(StreamFact(mark.name, f"{module.__name__}:{name}", mark.max_len, mark.max_age))
    return found


if __name__ == "__main__":
    main()
