"""Make a native service ready to run: `python -m omnitron.infra.prepare`, as often as one likes.

Finds the binary, makes the folders and the cluster where they are missing, writes the configuration, and answers with
the process for the keeper. Safe to interrupt at any point, and to run while the server runs.
"""

import hashlib
import os
from pathlib import Path
from typing import Final

from omnitron.base.errors import OperationError, Refused
from omnitron.base.home import MAX_SOCKET_PATH
from omnitron.infra.drivers import cluster, native
from omnitron.infra.drivers.native import Installation
from omnitron.infra.drivers.users import RunAs, check_passage, choose_user, make_open
from omnitron.infra.kinds import postgres, redis
from omnitron.infra.kinds.postgres import PostgresConfig
from omnitron.infra.kinds.redis import RedisConfig
from omnitron.infra.requests import Prepared, PrepareRequest
from omnitron.infra.steps import Say, serve_step
from omnitron.model.process import Process

ROOT_CACHE: Final = Path("/var/lib/omnitron/cache")


def prepare(request: PrepareRequest, say: Say) -> Prepared:
    """Raises OperationError or Refused; nothing that exists is ever deleted."""
    folder = make_open(Path(request.folder)).resolve()  # servers tell their working folder so
    with native.locked(folder / ".lock"):
        if isinstance(request.plan.config, PostgresConfig):
            return _postgres(request, request.plan.config, folder, say)
        return _redis(request, request.plan.config, folder, say)


def default_cache() -> Path:
    """Of copied servers and templates, shared by all homes of a user."""
    if os.geteuid() == 0:
        return ROOT_CACHE
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "omnitron"


def _postgres(request: PrepareRequest, config: PostgresConfig, folder: Path, say: Say) -> Prepared:
    data, mark = folder / "data", folder / "password.sha256"
    cache = Path(request.cache) if request.cache else default_cache()
    installations = native.find_postgres()
    if not installations:
        raise native.no_server("postgres")
    extensions = {name for client in request.plan.clients for name in client.extensions}
    made_by = cluster.cluster_major(data)
    chosen = cluster.choose_postgres(installations, made_by, config.version, extensions, data)
    run_as = _owner(data, config.user, "postgres")
    chosen = native.reachable(chosen, run_as, cache)
    running = native.is_running(data / "postmaster.pid", data)
    _check_port(request, running)
    if made_by is None:
        say(f"making the cluster with {chosen}")
        cluster.make_cluster(chosen, run_as, data, cache, request.password)
    elif _read(mark) != cluster.password_mark(request.password):
        if running:
            raise Refused(
                f"The password of {request.plan.owner} can not change while it runs.", remedy="Stop it first."
            )
        say("setting the superuser's password")
        cluster.set_password(chosen, run_as, data, request.password)
    run_as.write(mark, cluster.password_mark(request.password))
    socket_folder = _socket_folder(run_as, folder, f".s.PGSQL.{request.port}")
    conf = postgres.render_conf(config, chosen.major, request.port, socket_folder)
    run_as.write(data / "postgresql.conf", conf)
    run_as.write(data / "pg_hba.conf", postgres.render_hba())
    process = postgres.postgres_process(
        request.plan.name, str(chosen.server.parent), str(data), request.port, run_as.name
    )
    return _prepared(process, f"PostgreSQL {chosen.version}", conf)


def _redis(request: PrepareRequest, config: RedisConfig, folder: Path, say: Say) -> Prepared:
    data, conf_file, mark = folder / "data", folder / "redis.conf", folder / "server.version"
    cache = Path(request.cache) if request.cache else default_cache()
    chosen = _choose_redis(native.find_redis(), _read(mark), data)
    run_as = _owner(data, config.user, chosen.product)
    chosen = native.reachable(chosen, run_as, cache)
    pid_file = data / "server.pid"
    _check_port(request, native.is_running(pid_file, data))
    if not data.exists():
        say(f"making the folder of {chosen}")
    run_as.make_dir(data)
    run_as.write(mark, f"{chosen.product} {chosen.major}\n")
    socket_folder = _socket_folder(run_as, folder, "redis.sock")
    socket = f"{socket_folder}/redis.sock" if socket_folder else ""
    conf = redis.render_conf(config, request.port, request.password, str(data), socket)
    run_as.write(conf_file, f'{conf}pidfile "{pid_file}"\n')
    process = redis.redis_process(
        request.plan.name, str(chosen.server), str(conf_file), str(data), request.port, run_as.name
    )
    return _prepared(process, f"{chosen.product.capitalize()} {chosen.version}", conf)


def _choose_redis(found: list[Installation], made_by: str, data: Path) -> Installation:
    """The first that can read the data: of the same product, and no older than the one that wrote them."""
    if not found:
        raise native.no_server("redis")
    if not made_by:
        return found[0]
    product, _, major = made_by.strip().partition(" ")
    for one in found:
        if one.product == product and one.major >= int(major):
            return one
    raise OperationError(
        f"The data in {data} were written by {product} {major}; installed: {', '.join(map(str, found))}. "
        "Nothing was changed.",
        remedy=f"Install {product} {major} or newer, or move the folder away to start with no data.",
    )


def _owner(data: Path, wanted: str | None, usual: str) -> RunAs:
    """As `choose_user`, but who owns existing data stays their owner."""
    run_as = choose_user(wanted, usual)
    check_passage(run_as, data.parent)
    if data.exists() and (uid := data.stat().st_uid) != run_as.uid:
        raise OperationError(
            f"The data in {data} belong to user {uid}, and the server would run as {run_as.name or run_as.uid}.",
            remedy=f'Set config={{"user": ...}} to their owner, or change it: `chown -R {run_as.uid} {data}`.',
        )
    return run_as


def _check_port(request: PrepareRequest, running: bool) -> None:
    if not running and native.port_taken(request.port):
        raise Refused(
            f"Port {request.port} belongs to {request.plan.owner}, and another program listens there.",
            remedy=f"Stop that program (`ss -ltnp sport = :{request.port}` shows it), or declare another port.",
            details={"port": request.port},
        )


def _socket_folder(run_as: RunAs, folder: Path, longest: str) -> str:
    """For the Unix socket: of this user only. "" where the path would be too long; TCP is there anyway."""
    path = folder / "socket"
    if len(os.fsencode(path)) + 1 + len(longest) > MAX_SOCKET_PATH:
        return ""
    return str(run_as.make_dir(path))


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""


def _prepared(process: Process, version: str, conf: str) -> Prepared:
    digest = hashlib.sha256(f"{process.command}\0{version}\0{conf}".encode()).hexdigest()
    return Prepared(process=process, version=version, fingerprint=digest[:16])


if __name__ == "__main__":
    serve_step(PrepareRequest, prepare)
