"""From a checked description to everything `up` stores: records, claims, secrets, and the plan in words."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from omnitron.base.errors import Refused
from omnitron.base.names import check_name
from omnitron.base.rand import Rand
from omnitron.control.daemon import Change
from omnitron.control.keeper import AppStatus
from omnitron.daemon.decisions.claims import port_wishes, settle_ports
from omnitron.daemon.decisions.infrastructure import infra_claims, merged, port_owners, settle_infra
from omnitron.daemon.decisions.plan import plan_app
from omnitron.daemon.decisions.specs import Settled, app_spec
from omnitron.daemon.infra_record import InfraRecord
from omnitron.infra.plan import INFRA_APP
from omnitron.infra.settle import app_env
from omnitron.model.ecosystem import DEFAULT_STACK, Ecosystem
from omnitron.model.facts import AppFacts, Description
from omnitron.model.stack import Stack
from omnitron.model.state import Want
from omnitron.store.records import Claim, Desired


class Host(msgspec.Struct, frozen=True, kw_only=True):
    """What the decision needs of the machine and of what was decided before.

    records: of this stack, its infrastructure's not included. idle: (stack, app) that are down, in all stacks.
    code: hash by app. log_dirs: by app. free, taken: see `settle_ports`.
    """

    records: Sequence[Desired]
    claims: Sequence[Claim]
    infra: Sequence[InfraRecord]
    idle: frozenset[tuple[str, str]]
    code: Mapping[str, str]
    log_dirs: Mapping[str, str]
    observed: Mapping[str, AppStatus]
    free: Callable[[], int]
    taken: Callable[[int], bool]
    rand: Rand


class Intake(msgspec.Struct, frozen=True, kw_only=True):
    """What `up` stores. infra: all records of the stack. apps: those the description declares."""

    stack: str
    records: tuple[Desired, ...]
    claims: tuple[Claim, ...]
    infra: tuple[InfraRecord, ...]
    changes: tuple[Change, ...]
    apps: frozenset[str]


def choose_stack(description: Description, stack: str | None) -> str:
    """The given one, the only declared one, else the default. Raises Refused for one the definition does not know."""
    declared = description.ecosystem.stacks
    if stack is None:
        return next(iter(declared)) if len(declared) == 1 else DEFAULT_STACK
    check_name(stack, "stack")
    if declared and stack not in declared and stack != DEFAULT_STACK:
        raise Refused(
            f"{description.path} declares no stack {stack!r}, but {', '.join(declared)}.",
            remedy=f"Add it: stacks={{{stack!r}: Stack()}}.",
        )
    return stack


def take_in(description: Description, stack: str, host: Host) -> Intake:
    """Raises Refused where declared values collide, with both owners named."""
    new = {facts.app: facts for facts in description.apps}
    before = {record.spec.app: record for record in host.records}
    _check_owners(description, new, before)
    leaving = [r for r in host.records if r.path == description.path and r.spec.app not in new]
    others = [r for r in host.records if r.spec.app not in new and r not in leaving]
    whole = merged([description, *(r.description for r in others if r.description)], description.ecosystem.name)
    wishes = port_wishes(new.values(), whole.stacks.get(stack, Stack()).settings, stack == _default_stack(description))
    claims = settle_ports(wishes, stack, _still_held(host, stack, leaving), host.idle, host.free, host.taken)
    infra = _infra(whole, stack, new, others, claims, host)
    records = [
        _record(description, facts, stack, whole, claims, infra, before.get(facts.app), host) for facts in new.values()
    ]
    gone = [msgspec.structs.replace(record, want=Want.DOWN, leaving=True) for record in leaving]
    return Intake(
        stack=stack,
        records=(*records, *gone),
        claims=(*claims, *infra_claims(infra)),
        infra=tuple(infra),
        changes=tuple(_changes(records, leaving, before, infra, host)),
        apps=frozenset(new),
    )


def _default_stack(description: Description) -> str:
    """The stack that uses ports as declared."""
    declared = description.ecosystem.stacks
    return DEFAULT_STACK if not declared or DEFAULT_STACK in declared else next(iter(declared))


def _check_owners(description: Description, new: Iterable[str], before: Mapping[str, Desired]) -> None:
    for app in new:
        if app == INFRA_APP:
            raise Refused(f"The app name {app!r} is Omnitron's own.", remedy="Give the app another name.")
        record = before.get(app)
        if record and record.want is Want.UP and record.path not in ("", description.path):
            raise Refused(
                f"App {app!r} of stack {record.spec.stack!r} is up from {record.path}, not from {description.path}.",
                remedy=f"`omnitron down {app}` first, or choose another stack with --stack.",
            )


def _still_held(host: Host, stack: str, leaving: Iterable[Desired]) -> list[Claim]:
    gone = {record.spec.app for record in leaving}
    return [claim for claim in host.claims if not (claim.stack == stack and claim.app in gone)]


def _infra(
    whole: Ecosystem,
    stack: str,
    new: Mapping[str, AppFacts],
    others: Iterable[Desired],
    claims: list[Claim],
    host: Host,
) -> list[InfraRecord]:
    facts = [*new.values(), *(f for r in others if r.description for f in r.description.apps)]
    unknown = {r.spec.app for r in others if r.description is None}
    kept_claims = [c for c in host.claims if not (c.stack == stack and c.app in new)]
    return settle_infra(
        whole, stack, facts, unknown, host.infra, port_owners([*kept_claims, *claims]), host.taken, host.rand
    )


def _record(
    description: Description,
    facts: AppFacts,
    stack: str,
    whole: Ecosystem,
    claims: Iterable[Claim],
    infra: Iterable[InfraRecord],
    before: Desired | None,
    host: Host,
) -> Desired:
    app = facts.app
    settled = Settled(
        python=description.python,
        log_dir=host.log_dirs[app],
        ports={c.claimant.partition("/")[2]: c.port for c in claims if c.app == app},
        env=app_env([(r.plan, r.settled) for r in infra if r.used], app),
        code=host.code.get(app, ""),
    )
    spec = app_spec(facts, stack, whole.stacks.get(stack, Stack()), settled, before.spec if before else None)
    declared = next((a for a in description.ecosystem.apps if a.name == app), None)
    return Desired(
        spec=spec,
        description=_restricted(description, facts),
        depends_on=declared.depends_on if declared else (),
        critical=facts.system.critical,
        provision=before.provision if before else "",
    )


def _restricted(description: Description, facts: AppFacts) -> Description:
    """To one app: what its record needs, so that each record stands alone."""
    apps = tuple(app for app in description.ecosystem.apps if app.name == facts.app)
    ecosystem = msgspec.structs.replace(description.ecosystem, apps=apps)
    return msgspec.structs.replace(description, ecosystem=ecosystem, apps=(facts,))


def _changes(
    records: Iterable[Desired],
    leaving: Iterable[Desired],
    before: Mapping[str, Desired],
    infra: Iterable[InfraRecord],
    host: Host,
) -> Iterable[Change]:
    mine = {record.plan.owner: record for record in host.infra}
    for service in infra:
        subject, old = f"{INFRA_APP}/{service.plan.name}", mine.get(service.plan.owner)
        if service.used and (old is None or not old.used):
            port = f" on port {service.settled.port}" if service.settled.port else ""
            yield Change(
                action="create", subject=subject, reason=f"{service.plan.preset} ({service.plan.driver}){port}"
            )
        elif service.used and old is not None and (old.plan, old.settled) != (service.plan, service.settled):
            yield Change(action="update", subject=subject, reason="its definition or its apps changed")
        elif not service.used and old is not None and old.used:
            yield Change(action="remove", subject=subject, reason="no app needs it; its data stay")
    for record in records:
        old_record = before.get(record.spec.app)
        present = old_record.spec if old_record and old_record.want is Want.UP else None
        yield from plan_app(record.spec, present, host.observed.get(record.spec.app))
    for record in leaving:
        yield Change(action="remove", subject=record.spec.app, reason="no longer declared")
