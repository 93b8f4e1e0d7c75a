"""Small definitions and statuses for the tests of the daemon's decisions."""

import random
from collections.abc import Iterable, Mapping
from typing import Any

from omnitron.base.rand import SeededRand
from omnitron.control.keeper import AppStatus, ProcessStatus, ReplicaStatus
from omnitron.daemon.decisions.intake import Host, Intake, take_in
from omnitron.model.ecosystem import App, Ecosystem
from omnitron.model.facts import AppFacts, Description, NeedFact, ProcessFacts, ServiceFact
from omnitron.model.infrastructure import InfraService, Infrastructure
from omnitron.model.process import Process
from omnitron.model.stack import Stack
from omnitron.model.state import Want
from omnitron.model.system import System
from omnitron.model.topology import Topology
from omnitron.model.transports import Http, Transports
from omnitron.store.records import Desired


def process(name: str = "http", *, port: int | None = None, expose: bool = False, **fields: Any) -> Process:
    fields.setdefault("module", "market.api")
    transports = Transports(http=Http(port=port)) if port is not None else Transports()
    return Process(name=name, transports=transports, topology=Topology(expose=expose), **fields)


def system(name: str, *processes: Process, **fields: Any) -> System:
    return System(name=name, version="1.0.0", processes=processes or (process(),), **fields)


def facts(of: System, **known: tuple[Iterable[str], Iterable[str]]) -> AppFacts:
    """known: process (with _ for -) to (class names it offers, class names it needs)."""
    return AppFacts(
        of.name, of, "/srv/" + of.name, tuple(_facts(p.name, *known.get(p.name, ((), ()))) for p in of.processes)
    )


def _facts(name: str, offers: Iterable[str], needs: Iterable[str]) -> ProcessFacts:
    services = tuple(ServiceFact(c.lower(), "1.0.0", c, "m") for c in offers)
    return ProcessFacts(name, services, tuple(NeedFact(c, None, None, "m:X.y") for c in needs))


def describe(
    *apps: AppFacts | System,
    path: str = "/srv/system.py",
    stacks: Mapping[str, Stack] | None = None,
    services: Mapping[str, InfraService] | None = None,
    depends_on: Mapping[str, tuple[str, ...]] | None = None,
) -> Description:
    known = tuple(facts(a) if isinstance(a, System) else a for a in apps)
    wrapped = tuple(App(name=a.app, system=a.system, depends_on=(depends_on or {}).get(a.app, ())) for a in known)
    ecosystem = Ecosystem(
        name="test",
        apps=wrapped,
        stacks=dict(stacks or {}),
        infrastructure=Infrastructure(services=dict(services or {})),
    )
    return Description(path, "/usr/bin/python3", ecosystem, known)


class World:
    """What the store would hold after each `up`; ports above 40000 are free."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], Desired] = {}
        self.claims: dict[int, Any] = {}
        self.infra: dict[str, Any] = {}
        self.taken: set[int] = set()
        self.code: dict[str, str] = {}
        self.observed: dict[str, AppStatus] = {}
        self._free = random.Random(1)

    def look(self, description: Description, stack: str = "dev") -> Intake:
        host = Host(
            records=[r for (s, _), r in sorted(self.records.items()) if s == stack],
            claims=list(self.claims.values()),
            infra=list(self.infra.values()),
            idle=frozenset(key for key, r in self.records.items() if r.want is Want.DOWN),
            code={a.app: self.code.get(a.app, "c0") for a in description.apps},
            log_dirs={a.app: f"/logs/{stack}/{a.app}" for a in description.apps},
            observed=self.observed,
            free=lambda: self._free.randrange(40_000, 50_000),
            taken=lambda port: port in self.taken,
            rand=SeededRand(7),
        )
        return take_in(description, stack, host)

    def up(self, description: Description, stack: str = "dev") -> Intake:
        intake = self.look(description, stack)
        own = {r.spec.app for r in intake.records} | {"infra"}
        self.claims = {p: c for p, c in self.claims.items() if not (c.stack == stack and c.app in own)}
        self.claims |= {claim.port: claim for claim in intake.claims}
        self.records |= {(stack, r.spec.app): r for r in intake.records}
        self.infra |= {r.plan.owner: r for r in intake.infra}
        return intake


def said(intake: Intake) -> list[tuple[str, str, str]]:
    return [(c.action, c.subject, c.reason) for c in intake.changes]


def status(app: str, *processes: ProcessStatus, state: str = "ready") -> AppStatus:
    return AppStatus(app=app, stack="dev", state=state, keeper_pid=7, processes=processes)


def shown(name: str, state: str, *replicas: ReplicaStatus, **fields: Any) -> ProcessStatus:
    fields = {"want": "up", "count": max(1, len(replicas)), **fields}
    return ProcessStatus(name=name, state=state, replicas=replicas, **fields)
