"""Which infrastructure services a stack has, and which apps use them: the apps' needs united with what is declared."""

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.base.names import suggest
from omnitron.infra.kinds import postgres, redis
from omnitron.infra.kinds.postgres import PostgresConfig, read_postgres
from omnitron.infra.kinds.redis import RedisConfig, read_redis
from omnitron.infra.urls import url_database
from omnitron.model.ecosystem import Ecosystem
from omnitron.model.facts import AppFacts
from omnitron.model.infrastructure import InfraService, Preset
from omnitron.model.needs import Database
from omnitron.model.stack import Stack, StackSettings

INFRA_APP: Final = "infra"  # the pseudo-app of each stack whose processes the services are
DEFAULT_ENV: Final[dict[Preset, str]] = {"postgres": "DATABASE_URL", "redis": "REDIS_URL"}


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """An app that uses a service. env: the variable its URL is injected as.

    database: name of its database and of its role (postgres). extensions, migrations: as declared. cwd: of the app.
    """

    app: str
    env: str
    database: str = ""
    extensions: tuple[str, ...] = ()
    migrations: str | None = None
    cwd: str = ""


class ServicePlan(msgspec.Struct, frozen=True, kw_only=True):
    """One service of one stack.

    default_port, port_offset: as `allocate` takes them. index_offset: the first Redis index, None to allocate.
    shared: the external URL names a database itself: it is handed on unchanged, to one app only.
    """

    stack: str
    name: str
    config: PostgresConfig | RedisConfig
    native: bool
    default_port: int
    port_offset: int | None = None
    index_offset: int | None = None
    shared: bool = False
    clients: tuple[Client, ...] = ()

    @property
    def preset(self) -> Preset:
        return "postgres" if isinstance(self.config, PostgresConfig) else "redis"

    @property
    def driver(self) -> str:
        return "native" if self.native else "external"

    @property
    def owner(self) -> str:
        """How claims name it: "dev/postgres"."""
        return f"{self.stack}/{self.name}"


def plan_infra(ecosystem: Ecosystem, stack_name: str, apps: Iterable[AppFacts]) -> tuple[ServicePlan, ...]:
    """In order of name. Raises DefinitionError for what can not be provided or would be ignored."""
    settings = ecosystem.stacks.get(stack_name, Stack()).settings
    apps = tuple(apps)
    services = dict(ecosystem.infrastructure.services)
    users: dict[str, list[tuple[AppFacts, str, Database]]] = {}
    for app in apps:
        for name, env, database in _uses(app, services):
            users.setdefault(name, []).append((app, env, database))
    _check_offsets(settings, services)
    return tuple(_service(stack_name, name, services[name], settings, users.get(name, [])) for name in sorted(services))


def _uses(app: AppFacts, services: dict[str, InfraService]) -> Iterable[tuple[str, str, Database]]:
    """(service, variable, database) of one app; adds to `services` what it needs and nobody declared."""
    needs = app.system.needs
    if needs.s3:
        raise DefinitionError(
            f"App {app.app!r} needs s3, and there is no preset that provides it.",
            remedy="Remove it from Needs, and give the S3_* variables in the app's `env`.",
        )
    database = needs.database_options
    wanted: dict[Preset, bool] = {"postgres": database is not None, "redis": needs.redis}
    names = {_default_service(preset, app.app, services): preset for preset, needed in wanted.items() if needed}
    for name, preset in names.items():
        yield name, DEFAULT_ENV[preset], database or Database()
    for name in needs.services:
        if name not in services:
            raise DefinitionError(
                f"App {app.app!r} needs the service {name!r}, which is not declared.{suggest(name, services)}",
                remedy="Add it to Infrastructure(services={...}).",
            )
        if name not in names:
            yield name, f"{name.upper().replace('-', '_')}_URL", Database()


def _default_service(preset: Preset, app: str, services: dict[str, InfraService]) -> str:
    found = [name for name, service in services.items() if service.preset == preset]
    if not found and preset not in services:
        services[preset] = InfraService(preset=preset)
        return preset
    if len(found) == 1:
        return found[0]
    if preset in found:
        return preset
    raise DefinitionError(
        f"App {app!r} needs {preset}, and it is not clear which: {', '.join(sorted(found or services))}.",
        remedy=f"Name the one for {DEFAULT_ENV[preset]} {preset!r}; apps name others in Needs(services=[...]).",
    )


def _check_offsets(settings: StackSettings, services: Mapping[str, InfraService]) -> None:
    for name in settings.port_offsets:
        if "/" not in name and name not in services and name not in DEFAULT_ENV:
            raise DefinitionError(
                f"StackSettings.port_offsets names {name!r}, which is no service of this ecosystem."
                + suggest(name, [*services, *DEFAULT_ENV]),
                remedy='Name an infrastructure service, or a process as "app/process".',
            )


def _service(
    stack: str,
    name: str,
    service: InfraService,
    settings: StackSettings,
    users: list[tuple[AppFacts, str, Database]],
) -> ServicePlan:
    native = service.driver == "native"
    if service.preset == "postgres":
        config: PostgresConfig | RedisConfig = read_postgres(service.config, name, service.driver)
    else:
        config = read_redis(service.config, name, service.driver)
    shared = config.url is not None and url_database(config.url, service.preset, name) is not None
    if shared and len(users) > 1:
        raise DefinitionError(
            f"The url of infrastructure service {name!r} names one database, and apps "
            f"{', '.join(repr(app.app) for app, _, _ in users)} would share it.",
            remedy="Leave the database out of the url: then each app gets its own on that server.",
        )
    prefix = settings.container_prefix or ("" if native else stack)
    clients = tuple(_client(app, env, database, service.preset, prefix) for app, env, database in users)
    _check_databases(clients, name)
    if service.preset == "redis" and native:
        redis.check_index((settings.redis_db_offset or 0) + max(len(clients) - 1, 0), name)
    return ServicePlan(
        stack=stack,
        name=name,
        config=config,
        native=native,
        default_port=postgres.DEFAULT_PORT if service.preset == "postgres" else redis.DEFAULT_PORT,
        port_offset=settings.port_offsets.get(name),
        index_offset=settings.redis_db_offset if service.preset == "redis" else None,
        shared=shared,
        clients=clients,
    )


def _client(app: AppFacts, env: str, database: Database, preset: Preset, prefix: str) -> Client:
    if preset == "redis":
        return Client(app=app.app, env=env, cwd=app.cwd)
    name = "_".join(part for part in (prefix.replace("-", "_"), database.name or app.app.replace("-", "_")) if part)
    return Client(
        app=app.app,
        env=env,
        database=postgres.check_database_name(name, app.app),
        extensions=tuple(database.extensions),
        migrations=database.migrations,
        cwd=app.cwd,
    )


def _check_databases(clients: tuple[Client, ...], service: str) -> None:
    owners: dict[str, str] = {}
    for client in clients:
        if client.database and (other := owners.setdefault(client.database, client.app)) != client.app:
            raise DefinitionError(
                f"Apps {other!r} and {client.app!r} both need the database {client.database!r} of {service!r}.",
                remedy="Give one of them another name: Needs(database=Database(name=...)).",
            )
