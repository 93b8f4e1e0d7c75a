import os
from collections.abc import Callable

import msgspec
import psutil
import pytest
import redis
from infra_servers import Server, app, native_plan
from redis.exceptions import AuthenticationError, OutOfMemoryError, ResponseError

from omnitron.base.errors import OperationError
from omnitron.infra.drivers import native
from omnitron.infra.plan import ServicePlan

Make = Callable[[ServicePlan], Server]
pytestmark = pytest.mark.skipif(not native.find_redis(), reason="no Redis on this machine")


async def test_each_app_has_an_index_of_its_own_behind_the_stacks_password(servers: Make) -> None:
    server = servers(native_plan(app("ledger", redis=True), app("media", redis=True), preset="redis"))
    server.throwaway = True
    await server.up()
    with redis.Redis.from_url(server.url("ledger")) as ledger, redis.Redis.from_url(server.url("media")) as media:
        ledger.set("key", "ledger's")
        assert media.get("key") is None
        assert media.execute_command("SELECT", 1023) == b"OK" or media.execute_command("SELECT", 1023) is True
    with redis.Redis(port=server.settled.port) as nobody, pytest.raises(AuthenticationError):
        nobody.ping()
    server.settled = msgspec.structs.replace(server.settled, password="wrong")
    with pytest.raises(OperationError, match="refuses the connection: WRONGPASS"):
        await server.provision()


async def test_keeps_its_data_over_kill_9_and_a_stop(servers: Make) -> None:
    server = await servers(native_plan(app("ledger", redis=True), preset="redis")).up()
    with redis.Redis.from_url(server.url("ledger")) as client:
        client.mset({f"key{n}": n for n in range(1000)})
    server.kill()
    await server.start()
    await server.provision()
    with redis.Redis.from_url(server.url("ledger")) as client:
        assert client.dbsize() == 1000
    assert server.stop() == 0
    assert (await server.prepare()).version
    await server.start()
    await server.provision()
    with redis.Redis.from_url(server.url("ledger")) as client:
        assert client.dbsize() == 1000


async def test_listens_on_the_loopback_only_and_keeps_its_password_to_itself(servers: Make) -> None:
    server = await servers(native_plan(app("ledger", redis=True), preset="redis")).up()
    assert server.process is not None
    process = psutil.Process(server.process.pid)
    listening = [c.laddr.ip for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]
    assert (server.folder / "redis.conf").stat().st_mode & 0o777 == 0o600
    assert server.settled.password not in " ".join(process.cmdline())
    if os.geteuid() == 0:
        assert process.uids().effective != 0


async def test_writes_over_max_memory_fail_and_nothing_is_evicted(servers: Make) -> None:
    plan = native_plan(app("ledger", redis=True), preset="redis", max_memory="8MiB", append_only=False)
    server = await servers(plan).up()
    with redis.Redis.from_url(server.url("ledger")) as client:
        client.set("first", "kept")
        with pytest.raises((OutOfMemoryError, ResponseError)):
            for n in range(200):
                client.set(f"key{n}", b"x" * 100_000)
        assert client.get("first") == b"kept"


async def test_data_written_by_a_newer_server_stay_untouched(servers: Make) -> None:
    server = servers(native_plan(app("ledger", redis=True), preset="redis"))
    server.folder.mkdir()
    (server.folder / "server.version").write_text("valkey 99\n")
    with pytest.raises(OperationError, match="written by valkey 99"):
        await server.prepare()
    assert not (server.folder / "data").exists()
