"""Systems of this folder's own, run for real."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from omnitron.testing.real import RealSystem

HERE = Path(__file__).parent
APPS = HERE / "apps"
if str(HERE) not in sys.path:
    sys.path.insert(0, str(HERE))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the pool's `once` writes down each run."""
    return tmp_path_factory.mktemp("runs") / "runs"


@pytest.fixture(scope="module")
def shop(runs: Path) -> Iterator[RealSystem]:
    """apps/pool, up for the tests of a module."""
    with RealSystem(env={"POOLED_RUNS": str(runs)}) as system:
        system.up(APPS / "pool")
        yield system


@pytest.fixture(scope="module")
def store() -> Iterator[RealSystem]:
    """apps/stored, with real Postgres and Redis."""
    with RealSystem() as system:
        system.up(APPS / "stored")
        yield system


@pytest.fixture
def nobody() -> Iterator[RealSystem]:
    """A home in which nothing runs."""
    with RealSystem() as system:
        yield system
