"""From a description to what a keeper runs. Called at `up`, when everything to be allocated has been."""

from collections.abc import Mapping
from typing import Final

import msgspec

from omnitron.control.keeper import AppSpec, ProcessSpec
from omnitron.control.replica import ENV_STACK
from omnitron.daemon.decisions.fingerprint import fingerprint
from omnitron.model.ecosystem import DEFAULT_STACK
from omnitron.model.exposure import offers, resolve
from omnitron.model.facts import AppFacts, NeedFact, ProcessFacts
from omnitron.model.process import Process
from omnitron.model.stack import Stack

NO_FACTS: Final = ProcessFacts(process="")


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What was settled for one app before its spec is built.

    ports: "process/http" to the port. env: addresses of its infrastructure. code: hash of its code. log_dir: absolute.
    """

    python: str
    log_dir: str
    ports: Mapping[str, int] = {}
    env: Mapping[str, str] = {}
    code: str = ""


def app_spec(facts: AppFacts, stack_name: str, stack: Stack, settled: Settled, before: AppSpec | None) -> AppSpec:
    """before: the present spec; a replica count set by `scale` stays as long as the definition's `instances` does."""
    system = facts.system
    counts = {old.process.name: old for old in before.processes} if before else {}
    return AppSpec(
        app=facts.app,
        stack=stack_name,
        version=system.version,
        cwd=facts.cwd,
        python=settled.python,
        processes=tuple(
            _process_spec(facts, process, stack_name, stack, settled, counts.get(process.name))
            for process in system.processes
        ),
        strategy=system.strategy,
        shutdown=system.shutdown,
        log_dir=settled.log_dir,
        dev=stack_name == DEFAULT_STACK,
    )


def _process_spec(
    facts: AppFacts, process: Process, stack_name: str, stack: Stack, settled: Settled, before: ProcessSpec | None
) -> ProcessSpec:
    known = next((f for f in facts.processes if f.process == process.name), NO_FACTS)
    env = {ENV_STACK: stack_name, **settled.env, **facts.system.env, **process.env, **stack.env}
    ports = {
        kind: settled.ports[f"{process.name}/{kind}"]
        for kind in ("http", "websocket")
        if f"{process.name}/{kind}" in settled.ports
    }
    calls = called_names(process, known)
    return ProcessSpec(
        process=process,
        count=_count(process, before),
        services=tuple((f"{s.name}@{s.version}", s.class_name) for s in known.services),
        calls=calls,
        after=_after(facts, process, calls),
        env=env,
        fingerprint=fingerprint(process, env, ports, settled.code),
        ports=ports,
    )


def _count(process: Process, before: ProcessSpec | None) -> int:
    if before is not None and before.process.instances == process.instances:
        most = max(process.instances, process.scaling.max_instances)
        return before.count if process.scaling.strategy == "manual" else min(before.count, most)
    return process.instances


def called_names(process: Process, facts: ProcessFacts) -> tuple[str, ...]:
    """What it calls: injected, and declared in `access` beyond that; by the names `model.exposure.resolve` knows."""
    names = [need_name(need) for need in facts.needs]
    names += [name for name in process.topology.access or () if name not in names]
    return tuple(dict.fromkeys(names))


def need_name(need: NeedFact) -> str:
    name = need.class_name if need.service is None or need.version is None else f"{need.service}@{need.version}"
    return f"{need.app}/{name}" if need.app else name


def _after(facts: AppFacts, process: Process, calls: tuple[str, ...]) -> tuple[str, ...]:
    known = offers((facts,))
    called = [offer.process for name in calls for offer in resolve(name, facts.app, known)]
    return tuple(dict.fromkeys(name for name in (*process.depends_on, *called) if name != process.name))
