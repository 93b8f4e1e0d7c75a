"""The infrastructure of a stack over all definitions that are up in it, with everything allocated."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Final

import msgspec

from omnitron.base.errors import Refused
from omnitron.base.rand import Rand
from omnitron.daemon.infra_record import InfraRecord
from omnitron.infra.plan import INFRA_APP, ServicePlan, plan_infra
from omnitron.infra.settle import settle
from omnitron.model.ecosystem import Ecosystem
from omnitron.model.facts import AppFacts, Description
from omnitron.model.infrastructure import InfraService, Infrastructure
from omnitron.model.stack import Stack
from omnitron.store.records import Claim

CLAIMANT: Final = INFRA_APP + "/"


def merged(descriptions: Iterable[Description], name: str) -> Ecosystem:
    """One ecosystem with the services of all; the first description's settings of the stack count. Raises Refused."""
    services: dict[str, tuple[str, InfraService]] = {}
    stacks: dict[str, Stack] = {}
    for description in descriptions:
        for service_name, service in description.ecosystem.infrastructure.services.items():
            path, other = services.setdefault(service_name, (description.path, service))
            if other != service:
                raise Refused(
                    f"Infrastructure service {service_name!r} is declared differently in {path} and "
                    f"{description.path}.",
                    remedy="Declare it alike, or bring one of them up in another stack.",
                )
        stacks = {**description.ecosystem.stacks, **stacks}
    return Ecosystem(
        name=name,
        apps=(),
        infrastructure=Infrastructure(services={key: service for key, (_, service) in services.items()}),
        stacks=stacks,
    )


def settle_infra(
    ecosystem: Ecosystem,
    stack: str,
    apps: Iterable[AppFacts],
    unknown: Collection[str],
    kept: Iterable[InfraRecord],
    ports: Mapping[int, str],
    taken: Callable[[int], bool],
    rand: Rand,
) -> list[InfraRecord]:
    """Records of the stack: those used now, and those kept for a return.

    unknown: apps that run and whose definition was lost; what they used stays. kept: of all stacks. ports: port to
    owner, "dev/postgres" for services.
    """
    kept = list(kept)
    mine = {record.plan.name: record for record in kept if record.plan.stack == stack}
    plans = {plan.name: plan for plan in plan_infra(ecosystem, stack, apps)}
    for name, record in mine.items():
        plan = _with_unknown(plans.get(name), record, unknown)
        if plan is not None:
            plans[name] = plan
    ports = dict(ports)
    for name, plan in sorted(plans.items()):
        before = mine.get(name)
        others = [(record.plan, record.settled) for record in kept if record.plan.owner != plan.owner]
        settled = settle(
            plan, before.settled if before else None, ports=ports, others=others, taken=taken, rand=rand
        )  # fmt: skip
        if settled.port is not None:
            ports[settled.port] = plan.owner
        mine[name] = (
            msgspec.structs.replace(before, plan=plan, settled=settled, used=True)
            if before
            else InfraRecord(plan=plan, settled=settled)
        )
    return [r if r.plan.name in plans else msgspec.structs.replace(r, used=False) for _, r in sorted(mine.items())]


def _with_unknown(plan: ServicePlan | None, record: InfraRecord, unknown: Collection[str]) -> ServicePlan | None:
    clients = tuple(client for client in record.plan.clients if client.app in unknown)
    if not clients or not record.used:
        return plan
    if plan is None:
        return msgspec.structs.replace(record.plan, clients=clients)
    return msgspec.structs.replace(plan, clients=plan.clients + clients)


def port_owners(claims: Iterable[Claim]) -> dict[int, str]:
    """As `infra.ports` names them: a service without the pseudo-app."""
    return {claim.port: f"{claim.stack}/{claim.claimant.removeprefix(CLAIMANT)}" for claim in claims}


def infra_claims(records: Iterable[InfraRecord]) -> list[Claim]:
    """Also of what is not used at the moment: it gets its port back."""
    return [
        Claim(record.settled.port, record.plan.stack, CLAIMANT + record.plan.name)
        for record in records
        if record.settled.port is not None
    ]
