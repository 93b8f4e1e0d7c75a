"""The pytest plugin: fixtures for systems under test, seeds, and the rule that nothing required may be skipped.

It is loaded in every pytest run where Omnitron is installed, so it imports what a fixture needs only when that is used.
No fixture is async: they work with pytest-asyncio in each of its modes, and with anyio on asyncio.
"""

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import pytest

REQUIRE_ALL: Final = "OMNITRON_REQUIRE_ALL"
_SEED: Final = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("omnitron")
    group.addoption("--omnitron-seed", type=int, default=None, help="repeat tests with the seed of one that failed")


@pytest.fixture
def fake_clock() -> Any:
    """A `FakeClock`, which stands still until `advance` is called."""
    return import_module("omnitron.testing.clock").FakeClock()


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Another in each run, printed when the test fails; `--omnitron-seed=N` repeats it."""
    given = request.config.getoption("--omnitron-seed")
    chosen = int.from_bytes(os.urandom(4)) if given is None else int(given)
    request.node.stash[_SEED] = chosen
    return chosen


@pytest.fixture
def running_app(seed: int) -> Callable[..., Any]:
    """`omnitron.testing.running_app` with the test's seed: `async with running_app("system.py", "http") as app:`."""
    return partial(import_module("omnitron.testing.app").running_app, seed=seed)


@pytest.fixture
def real_system() -> Iterator[Callable[..., Any]]:
    """Call it with a definition's path (and `env=`): a running `RealSystem`, stopped and removed after the test."""
    from omnitron.testing.real import RealSystem  # noqa: PLC0415 - the CLI's imports, only for tests that want it

    started: list[RealSystem] = []

    def start(path: Path | str | None = None, env: Mapping[str, str] | None = None) -> RealSystem:
        system = RealSystem(env=env)
        started.append(system)
        if path is not None:
            system.up(path)
        return system

    yield start
    for system in reversed(started):
        system.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With OMNITRON_REQUIRE_ALL=1 a skip is a failure: what is missing must be installed, not passed over."""
    report = yield
    if report.failed and (chosen := item.stash.get(_SEED, None)) is not None:
        report.sections.append(("omnitron", f"repeat with --omnitron-seed={chosen}"))
    if report.skipped and os.environ.get(REQUIRE_ALL) == "1" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although {REQUIRE_ALL}=1: {report.longrepr}"
    return report
