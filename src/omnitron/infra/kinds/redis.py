"""Redis or Valkey: a server per stack, on the loopback, by password, its log of writes synced every second."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.base.units import size
from omnitron.infra.kinds.config import read_config
from omnitron.infra.kinds.postgres import RETRY_FOREVER
from omnitron.model.health import Health
from omnitron.model.process import Process

DEFAULT_PORT: Final = 6379
DATABASES: Final = 1024  # the server's default of 16 is used up by a handful of apps in two stacks
LOADING_TIMEOUT: Final = 300.0  # seconds a start may take: reading a large append-only file is not a hang


class RedisConfig(msgspec.Struct, frozen=True, kw_only=True, tag="redis", tag_field="preset"):
    """url: external only; without an index in it, each app gets its own. max_memory: size; writes beyond it fail.

    append_only: keep the data over restarts. user: run as (needs root).
    """

    port: int | None = None
    url: str | None = None
    max_memory: int | str | None = None
    append_only: bool = True
    user: str | None = None


def read_redis(raw: Mapping[str, Any], service: str, driver: str) -> RedisConfig:
    """Raises DefinitionError."""
    config = read_config(raw, RedisConfig, service, driver)
    if config.max_memory is None:
        return config
    return msgspec.structs.replace(config, max_memory=size(config.max_memory, what=f"max_memory of {service!r}"))


def check_index(index: int, service: str) -> int:
    """The index itself; DefinitionError if the native server has no such database."""
    if not 0 <= index < DATABASES:
        raise DefinitionError(
            f"Redis database {index} of service {service!r} does not exist: there are {DATABASES}.",
            remedy="Lower StackSettings.redis_db_offset.",
        )
    return index


def render_conf(config: RedisConfig, port: int, password: str, data: str, socket: str) -> str:
    """redis.conf. Holds the password: for the server's eyes only. socket: "" for none."""
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        "protected-mode yes",
        f"requirepass {password}",
        f"databases {DATABASES}",
        f'dir "{data}"',
        "daemonize no",
        'save ""',
        f"appendonly {'yes' if config.append_only else 'no'}",
        "appendfsync everysec",
        "maxmemory-policy noeviction",
    ]
    if config.max_memory is not None:
        lines.append(f"maxmemory {config.max_memory}")
    if socket:
        lines += [f'unixsocket "{socket}"', "unixsocketperm 700"]
    return "\n".join(lines) + "\n"


def redis_process(name: str, binary: str, conf: str, data: str, port: int, user: str | None) -> Process:
    """It listens before it has read its data; `provision` waits for the rest."""
    return Process(
        name=name,
        command=(binary, conf),
        health=Health(probe=f"tcp:{port}"),
        restart=RETRY_FOREVER,
        startup_timeout=LOADING_TIMEOUT,
        singleton=True,
        user=user,
        cwd=data,
    )
