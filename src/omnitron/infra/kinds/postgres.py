"""Postgres: a cluster per stack, listening on the loopback only, every connection by password (SCRAM)."""

import shlex
import sys
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.base.names import suggest
from omnitron.infra.kinds.config import read_config
from omnitron.model.health import Health
from omnitron.model.process import Process
from omnitron.model.restart import Backoff, Restart

DEFAULT_PORT: Final = 5432
SUPERUSER: Final = "postgres"
MAX_CONNECTIONS: Final = 200
MAX_IDENTIFIER: Final = 63  # bytes; Postgres cuts longer names silently
RECOVERY_TIMEOUT: Final = 300.0  # seconds a start may take: replaying the log after a crash is not a hang
INITDB_ARGS: Final = ("-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8", "-A", "reject")
RESERVED_DATABASES: Final = frozenset({"postgres", "template0", "template1"})
RETRY_FOREVER: Final = Restart(intensity=20, period=10.0, backoff=Backoff(cap=5.0))

_OURS: Final = frozenset(
    {"listen_addresses", "port", "data_directory", "hba_file", "ident_file", "unix_socket_directories"}
)
_DEFAULTS: Final[dict[str, Any]] = {
    "max_connections": MAX_CONNECTIONS,
    "shared_buffers": "128MB",
    "password_encryption": "scram-sha-256",
    "log_destination": "stderr",
    "logging_collector": False,
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_timezone": "UTC",
    "timezone": "UTC",
}

# A start must not be stopped by a postmaster.pid whose number now belongs to another process of the same user. That
# process's working folder tells it from a postmaster of this cluster. Everything else Postgres checks itself.
_LAUNCH: Final = (
    'f="$1/postmaster.pid"; if [ -r "$f" ] && [ -d /proc/self ]; then read -r p < "$f"; '
    'if [ -d "/proc/$p" ] && [ "$(readlink "/proc/$p/cwd")" != "$1" ]; then rm -f "$f"; fi; fi; exec "$2" -D "$1"'
)


class PostgresConfig(msgspec.Struct, frozen=True, kw_only=True, tag="postgres", tag_field="preset"):
    """url: external only; without a database in it, each app gets its own. settings: of postgresql.conf.

    user: run as (needs root). version: the major version to use where several are installed.
    """

    port: int | None = None
    url: str | None = None
    settings: dict[str, str | int | float | bool] = {}
    user: str | None = None
    version: int | None = None


def read_postgres(raw: Mapping[str, Any], service: str, driver: str) -> PostgresConfig:
    """Raises DefinitionError."""
    config = read_config(raw, PostgresConfig, service, driver)
    for key in config.settings:
        if key in _OURS:
            raise DefinitionError(
                f"Infrastructure service {service!r} sets {key!r}, which Omnitron decides.",
                remedy='Use config={"port": ...} for the port; the server listens on this machine only.',
            )
    return config


def check_database_name(name: str, app: str) -> str:
    """The name itself; DefinitionError if Postgres would cut it or it is one of the server's own."""
    if not 0 < len(name.encode()) <= MAX_IDENTIFIER or '"' in name or "\0" in name or "/" in name:
        raise DefinitionError(
            f"App {app!r} needs a database named {name!r}, which can not be used.",
            remedy=f'Use 1 to {MAX_IDENTIFIER} letters, digits, "_" and "-" (the prefix of the stack included).',
        )
    if name in RESERVED_DATABASES:
        raise DefinitionError(
            f"App {app!r} needs a database named {name!r}, which belongs to the server.{suggest(name, [])}",
            remedy="Give it another name: Needs(database=Database(name=...)).",
        )
    return name


def render_conf(config: PostgresConfig, major: int, port: int, socket_dir: str) -> str:
    """postgresql.conf, all of it. socket_dir: "" for no socket."""
    lines = dict(_DEFAULTS)
    if sys.platform == "linux" and major >= 14:
        lines["recovery_init_sync_method"] = "syncfs"  # one call instead of an fsync per file after a crash
    lines |= config.settings
    lines |= {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": socket_dir}
    return "".join(f"{key} = {_quote(value)}\n" for key, value in lines.items())


def render_hba() -> str:
    """pg_hba.conf: passwords for everybody, the superuser included, and nobody from elsewhere."""
    return "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"


def _quote(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'"


def postgres_process(name: str, bin_dir: str, data: str, port: int, user: str | None) -> Process:
    """Stopped by SIGINT ("fast"): SIGTERM would wait for the last client to hang up."""
    return Process(
        name=name,
        command=("/bin/sh", "-c", _LAUNCH, "postgres", data, f"{bin_dir}/postgres"),
        health=Health(probe="exec:" + shlex.join([f"{bin_dir}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)])),
        restart=RETRY_FOREVER,
        startup_timeout=RECOVERY_TIMEOUT,
        singleton=True,
        env={"LC_ALL": "C"},  # of the server's messages; what it stores has the cluster's own
        stop_signal="SIGINT",
        user=user,
        cwd=data,
    )
