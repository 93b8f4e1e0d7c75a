"""A temporary home with a real daemon, and nothing left of it afterwards."""

import itertools
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from daemon_home import Household, kill_all

from omnitron.base.home import Home

NUMBERS = itertools.count()


@pytest.fixture
def home() -> Iterator[Home]:
    """Short, as sockets lie in it. Afterwards nothing runs any more that was started for it."""
    root = Path(tempfile.mkdtemp(prefix="omni"))
    yield Home(root)
    kill_all(root)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="module")
def shared_home() -> Iterator[Home]:
    """Of a daemon for all tests of a module; each has a stack of its own."""
    root = Path(tempfile.mkdtemp(prefix="omni"))
    yield Home(root)
    kill_all(root)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
async def house(shared_home: Home, tmp_path: Path) -> AsyncIterator[Household]:
    """A stack of its own in a daemon that others use too."""
    found = Household(shared_home, tmp_path, f"t{next(NUMBERS)}")
    await found.connect()
    yield found
    if found.stack in {stack.name for stack in (await found.daemon.status(None)).stacks}:
        await found.collect(found.daemon.down(found.stack, None, True))
    found.close()


@pytest.fixture
async def own(home: Home, tmp_path: Path) -> AsyncIterator[Household]:
    """With a daemon of its own."""
    found = Household(home, tmp_path)
    await found.connect()
    yield found
    found.close()
