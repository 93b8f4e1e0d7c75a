"""Fixtures that start real servers; see infra_servers.py."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from infra_servers import Server, app, native_plan, open_folder

from omnitron.infra.plan import ServicePlan


@pytest.fixture(scope="session")
def cache() -> Iterator[Path]:
    """Of copied wheels and templates."""
    path = open_folder()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that servers of other users can reach, unlike pytest's own."""
    path = open_folder()
    yield path
    shutil.rmtree(path)


@pytest.fixture
def servers(place: Path, cache: Path) -> Iterator[Callable[[ServicePlan], Server]]:
    """Makes a Server for a plan; all are gone afterwards."""
    made: list[Server] = []

    def make(plan: ServicePlan) -> Server:
        made.append(Server(plan, place, cache))
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture(scope="session")
def shared(cache: Path) -> Iterator[Server]:
    """A Postgres for the tests that do not restart it; each makes apps of its own with `with_apps`."""
    folder = open_folder()
    server = Server(native_plan(app("first", database=True)), folder, cache)
    try:
        asyncio.run(server.up())
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder)
