"""Fixtures of real servers; see kit_servers."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit_servers import Context, PostgresServer, RedisServer


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    with tempfile.TemporaryDirectory(prefix="pg-", dir="/tmp") as folder:
        server = PostgresServer(Path(folder))
        server.init()
        server.start()
        yield server
        server.stop()


@pytest.fixture
def context(redis_server: RedisServer, tmp_path: Path) -> Callable[..., Context]:
    def make(replica: str = "market/aggregator/0") -> Context:
        return Context({"REDIS_URL": redis_server.url}, tmp_path, replica)

    return make
