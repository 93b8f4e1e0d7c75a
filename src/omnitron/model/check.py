"""Everything that can be known to be wrong before anything starts.

`check` is called by `omnitron check`, by `plan` and by `up` with what `describe` has read. Each rule is a function of
the description that yields findings; none of them does I/O, so what depends on this machine (is the port free) is
asked for when it is claimed. What a single struct can see for itself is refused when it is built (model.process).
"""

from collections.abc import Callable, Iterator
from typing import Final

from omnitron.base.names import suggest
from omnitron.model.exposure import Offer, offers, resolve
from omnitron.model.facts import AppFacts, Description, NeedFact, ProcessFacts
from omnitron.model.finding import Finding
from omnitron.model.process import Process

Rule = Callable[[Description], Iterator[Finding]]


def check(description: Description) -> tuple[Finding, ...]:
    """All findings, errors first, in the order of the definition."""
    found = [finding for rule in RULES for finding in rule(description)]
    return tuple(sorted(found, key=lambda finding: finding.level != "error"))


def _error(code: str, subject: str, message: str, remedy: str) -> Finding:
    return Finding(code=code, level="error", subject=subject, message=message, remedy=remedy)


def _entries(description: Description) -> Iterator[tuple[AppFacts, Process, ProcessFacts]]:
    for app in description.apps:
        for facts in app.processes:
            yield app, app.system.process(facts.process), facts


def _modules(description: Description) -> Iterator[Finding]:
    """What can not be imported can not be started."""
    for app, process, facts in _entries(description):
        subject = f"{app.app}/{process.name}"
        if facts.error is not None:
            yield _error(
                "module.broken",
                subject,
                f"{process.module or process.asgi!r} of process {process.name!r} can not be imported: {facts.error}",
                f"Mend it; `cd {app.cwd} && python -c 'import {(process.module or process.asgi or '').split(':')[0]}'` "
                "shows the whole traceback.",
            )
        elif process.kind == "module" and not (facts.services or facts.jobs or facts.routes):
            yield Finding(
                code="module.empty",
                level="warning",
                subject=subject,
                message=f"Module {process.module!r} of process {process.name!r} offers no service, job or route.",
                remedy="Define a class with @service in it, or list imported ones in SERVICES = [...].",
            )


def _needs(description: Description) -> Iterator[Finding]:
    """Gotcha 6: every need must be met by an exposed service, and by one only. There is no fallback.

    While a module can not be imported, nobody knows what it would offer: that is said by `_modules`, once.
    """
    if any(facts.error is not None for _, _, facts in _entries(description)):
        return
    known = offers(description.apps)
    for app, process, facts in _entries(description):
        for need in facts.needs:
            yield from _one_need(app, process, need, known)
        yield from _access_list(app, process, facts, known)


def _need_name(need: NeedFact) -> str:
    name = need.class_name if need.service is None else f"{need.service}@{need.version}"
    return f"{need.app}/{name}" if need.app else name


def _one_need(app: AppFacts, process: Process, need: NeedFact, known: tuple[Offer, ...]) -> Iterator[Finding]:
    subject, name = f"{app.app}/{process.name}", _need_name(need)
    found = resolve(name, app.app, known)
    usable = tuple(o for o in found if o.exposed or (o.app == app.app and o.process == process.name))
    if not found:
        yield _unmet(subject, app.app, process.name, need.class_name, known)
    elif not usable:
        owner = found[0]
        yield _error(
            "need.not_exposed",
            subject,
            f"Process {process.name!r} of app {app.app!r} uses {need.class_name!r} ({need.where}), which process "
            f"{owner.process!r} of app {owner.app!r} has but does not expose.",
            f"Say topology=Topology(expose=True) on {owner.app}/{owner.process}.",
        )
    elif len({(o.app, o.service.version) for o in usable}) > 1:
        owners = ", ".join(f"{o.app}/{o.process} ({o.service.name}@{o.service.version})" for o in usable)
        yield _error(
            "need.ambiguous",
            subject,
            f"Process {process.name!r} of app {app.app!r} uses {need.class_name!r}, which several expose: {owners}.",
            'Say whose is meant: with_options(remote, app="...") or distinct service names.',
        )


def _unmet(subject: str, app: str, process: str, name: str, known: tuple[Offer, ...]) -> Finding:
    classes = {o.service.class_name: o for o in known if o.exposed}
    hint = suggest(name, classes)
    near = next((o for c, o in classes.items() if hint and f"{c!r}" in hint), None)
    return _error(
        "need.unknown",
        subject,
        f"Process {process!r} of app {app!r} uses {name!r}, which no process exposes."
        + (f"{hint[:-1]} (exposed by {near.app}/{near.process})?" if near else ""),
        "Correct the name, or add the process that has it, with topology=Topology(expose=True).",
    )


def _access_list(app: AppFacts, process: Process, facts: ProcessFacts, known: tuple[Offer, ...]) -> Iterator[Finding]:
    """A declared access list must name what exists, and cover what is injected."""
    access = process.topology.access
    if access is None:
        return
    subject = f"{app.app}/{process.name}"
    for name in access:
        if not any(o.exposed for o in resolve(name, app.app, known)):
            yield _unmet(subject, app.app, process.name, name, known)
    for need in facts.needs:
        names = {need.class_name, need.service or "", f"{need.service}@{need.version}"}
        if not names & {entry.split("/")[-1] for entry in access}:
            yield _error(
                "need.no_access",
                subject,
                f"Process {process.name!r} of app {app.app!r} injects Remote[{need.class_name}] at {need.where}, but "
                f"its topology.access lists only {', '.join(access) or 'nothing'}.",
                f"Add {need.class_name!r} to access, or leave access out: it is then read from the code.",
            )


def _streams(description: Description) -> Iterator[Finding]:
    """Gotcha 2: a stream without a bound grows until the memory is gone."""
    for app, process, facts in _entries(description):
        for stream in facts.streams:
            if stream.max_len is None and stream.max_age is None:
                yield _error(
                    "stream.unbounded",
                    f"{app.app}/{process.name}",
                    f"Stream {stream.name!r} ({stream.where}) has no bound: it grows until Redis has no memory left.",
                    'Give it max_len=1_000_000 or max_age="24h".',
                )


def _jobs(description: Description) -> Iterator[Finding]:
    """Gotcha 7 is the ledger's; here: what can not be read, and what is said twice."""
    for app, process, facts in _entries(description):
        seen: set[str] = set()
        for job in facts.jobs:
            subject = f"{app.app}/{process.name}"
            if job.error:
                yield _error(
                    "job.unreadable",
                    subject,
                    f"The {job.kind} expression {job.spec!r} of job {job.name!r} can not be read: {job.error}",
                    'Six fields, second first: "0 */5 * * * *" is every 5 minutes; time zones as "Europe/Paris".',
                )
            if job.name in seen:
                yield _error(
                    "job.duplicate",
                    subject,
                    f"Two jobs of process {process.name!r} are named {job.name!r}: they would share one ledger.",
                    "Give one of them name=...",
                )
            seen.add(job.name)


def _routes(description: Description) -> Iterator[Finding]:
    """Gotcha 12: a route says who may enter, or why everybody may."""
    for app, process, facts in _entries(description):
        subject, seen = f"{app.app}/{process.name}", dict[tuple[str, str], str]()
        for route in facts.routes:
            key = (route.method, route.pattern)
            if key in seen:
                yield _error(
                    "route.duplicate",
                    subject,
                    f"{route.method} {route.pattern} is served by both {seen[key]} and {route.source}.",
                    "Remove one or change its pattern.",
                )
            seen[key] = route.source
            if route.auth is not None:
                yield _error(
                    "route.auth_unsupported",
                    subject,
                    f"{route.method} {route.pattern} ({route.source}) asks for auth={route.auth!r}, which is not "
                    "available yet: it would let everybody in.",
                    'Serve it with public="reason" if it may be seen by all, or leave it out for now.',
                )
            elif not route.public:
                yield _error(
                    "route.open",
                    subject,
                    f"{route.method} {route.pattern} ({route.source}) does not say who may enter.",
                    'Say public="why everybody may see it".',
                )
        if facts.routes and process.transports.http is None:
            yield _error(
                "route.no_transport",
                subject,
                f"Process {process.name!r} has HTTP routes but no HTTP transport.",
                "Add transports=Transports(http=Http(port=...)).",
            )


def _ports(description: Description) -> Iterator[Finding]:
    """Gotcha 10: one port, one claimant."""
    owners: dict[int, str] = {}
    claims = [
        (f"{app.app}/{process.name} ({kind})", transport.port)
        for app, process, _ in _entries(description)
        for kind, transport in (("http", process.transports.http), ("websocket", process.transports.websocket))
        if transport is not None and transport.port
    ] + [
        (f"infrastructure service {name}", int(service.config["port"]))
        for name, service in description.ecosystem.infrastructure.services.items()
        if isinstance(service.config.get("port"), int)
    ]
    for claimant, port in claims:
        if port in owners:
            yield _error(
                "port.clash",
                claimant.split(" ")[0],
                f"Port {port} is claimed by both {owners[port]} and {claimant}.",
                "Change one of them, or use port=0 for a free one.",
            )
        owners[port] = claimant


def _dependencies(description: Description) -> Iterator[Finding]:
    """`depends_on` names what exists, without going round in a circle (calls may)."""
    for app in description.apps:
        names = {process.name for process in app.system.processes}
        for process in app.system.processes:
            for other in process.depends_on:
                if other not in names:
                    yield _error(
                        "dependency.unknown",
                        f"{app.app}/{process.name}",
                        f"Process {process.name!r} depends on {other!r}, which app {app.app!r} does not have."
                        + suggest(other, names),
                        "Name a process of the same app.",
                    )
        graph = {p.name: tuple(o for o in p.depends_on if o in names) for p in app.system.processes}
        if cycle := find_cycle(graph):
            yield _error(
                "dependency.cycle",
                app.app,
                f"The processes {' -> '.join(cycle)} wait for each other: none could ever start.",
                "Remove one depends_on.",
            )


def find_cycle(graph: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The first cycle as a closed path (a, b, a), or ()."""
    done: set[str] = set()

    def walk(node: str, path: tuple[str, ...]) -> tuple[str, ...]:
        if node in path:
            return (*path[path.index(node) :], node)
        if node in done:
            return ()
        for other in graph.get(node, ()):
            if found := walk(other, (*path, node)):
                return found
        done.add(node)
        return ()

    return next((found for node in graph if (found := walk(node, ()))), ())


def _stacks(description: Description) -> Iterator[Finding]:
    """Gotcha 19: declared offsets of two stacks must not meet."""
    owners: dict[tuple[str, int], str] = {}
    for stack_name, stack in description.ecosystem.stacks.items():
        claims = {**{f"port offset of {k}": v for k, v in stack.settings.port_offsets.items()}}
        if stack.settings.redis_db_offset is not None:
            claims["redis_db_offset"] = stack.settings.redis_db_offset
        for what, offset in claims.items():
            if (what, offset) in owners:
                yield _error(
                    "stack.overlap",
                    stack_name,
                    f"Stacks {owners[what, offset]!r} and {stack_name!r} both have {what} {offset}.",
                    "Give them different offsets, or leave them out: they are then allocated.",
                )
            owners[what, offset] = stack_name


RULES: Final[tuple[Rule, ...]] = (_modules, _needs, _streams, _jobs, _routes, _ports, _dependencies, _stacks)
