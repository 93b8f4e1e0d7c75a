"""What is allocated once for a service and kept: port, passwords, Redis indexes. The daemon stores it as it is."""

from collections.abc import Callable, Iterable, Mapping

import msgspec

from omnitron.base.errors import Refused
from omnitron.base.rand import Rand
from omnitron.infra.kinds import postgres, redis
from omnitron.infra.plan import Client, ServicePlan
from omnitron.infra.ports import allocate
from omnitron.infra.urls import postgres_url, redis_url, with_database


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """port: None if external. password: of the server (postgres: the superuser's). passwords: of the apps' roles.

    indexes: of the apps in Redis. Apps that left keep theirs, so that they find their data when they come back.
    """

    port: int | None = None
    password: str = ""
    passwords: dict[str, str] = {}
    indexes: dict[str, int] = {}


def settle(
    plan: ServicePlan,
    kept: Settled | None,
    *,
    ports: Mapping[int, str],
    others: Iterable[tuple[ServicePlan, Settled]],
    taken: Callable[[int], bool],
    rand: Rand,
) -> Settled:
    """What was kept, completed by what is missing; equal to `kept` if nothing is.

    ports: port to owner of all claims, this service's included. others: all other services, of other stacks too.
    taken: see `ports.allocate`. Raises Refused, naming both owners, where declared values overlap.
    """
    before = kept or Settled()
    config = plan.config
    port = before.port
    if plan.native:
        port = allocate(ports, plan.owner, plan.default_port, config.port, plan.port_offset, taken=taken)
    return Settled(
        port=port if plan.native else None,
        password=before.password or (rand.token(24) if plan.native else ""),
        passwords=_passwords(plan, before.passwords, rand),
        indexes=_indexes(plan, before.indexes, others)
        if plan.preset == "redis" and not plan.shared
        else before.indexes,
    )


def _passwords(plan: ServicePlan, kept: dict[str, str], rand: Rand) -> dict[str, str]:
    if plan.preset != "postgres" or plan.shared:
        return kept
    return kept | {client.app: rand.token(24) for client in plan.clients if client.app not in kept}


def _indexes(plan: ServicePlan, kept: dict[str, int], others: Iterable[tuple[ServicePlan, Settled]]) -> dict[str, int]:
    """From the declared offset, or 0, upwards. A changed offset moves the whole range."""
    first = plan.index_offset or 0
    if kept and plan.index_offset is not None and min(kept.values()) != first:
        kept = {}
    foreign = {} if plan.native else claimed_indexes(plan, others)
    result = dict(kept)
    index = first
    for client in plan.clients:
        if client.app in result:
            continue
        while index in result.values() or (plan.index_offset is None and index in foreign):
            index += 1
        if plan.native:
            redis.check_index(index, plan.name)
        result[client.app] = index
    for app, index in result.items():
        if index in foreign:
            raise Refused(
                f"Redis database {index} is wanted by {plan.stack}/{app} and belongs to {foreign[index]}.",
                remedy="Give the stacks StackSettings(redis_db_offset=...) that lie further apart.",
                details={"index": index, "owners": [f"{plan.stack}/{app}", foreign[index]]},
            )
    return result


def claimed_indexes(plan: ServicePlan, others: Iterable[tuple[ServicePlan, Settled]]) -> dict[int, str]:
    """Index to "stack/app" on the same external server."""
    return {
        index: f"{other.stack}/{app}"
        for other, settled in others
        if other.owner != plan.owner and not other.native and other.config.url == plan.config.url
        for app, index in settled.indexes.items()
    }


def server_url(plan: ServicePlan, settled: Settled) -> str:
    """Of the server's own superuser or administrator; never for an app."""
    if not plan.native:
        assert plan.config.url is not None
        return plan.config.url
    assert settled.port is not None
    if plan.preset == "redis":
        return redis_url(settled.password, settled.port, 0)
    return postgres_url(postgres.SUPERUSER, settled.password, settled.port, "postgres")


def client_url(plan: ServicePlan, settled: Settled, client: Client) -> str:
    """What the app gets as `client.env`."""
    if plan.shared:
        scheme, _, rest = server_url(plan, settled).partition("://")
        return f"{'postgresql' if scheme == 'postgres' else scheme}://{rest}"
    if plan.preset == "redis":
        return with_database(server_url(plan, settled), str(settled.indexes[client.app]))
    return with_database(server_url(plan, settled), client.database, client.database, settled.passwords[client.app])


def app_env(services: Iterable[tuple[ServicePlan, Settled]], app: str) -> dict[str, str]:
    """The variables to inject into an app's processes: DATABASE_URL, REDIS_URL, <SERVICE>_URL."""
    return {
        client.env: client_url(plan, settled, client)
        for plan, settled in services
        for client in plan.clients
        if client.app == app
    }
