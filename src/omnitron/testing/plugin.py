"""The pytest plugin: fixtures for systems under test, and the rule that nothing required may be skipped."""

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from omnitron.testing.clock import FakeClock

REQUIRE_ALL = "OMNITRON_REQUIRE_ALL"


@pytest.fixture
def fake_clock() -> FakeClock:
    """A clock that stands still until `advance` is called."""
    return FakeClock()


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
    if report.skipped and os.environ.get(REQUIRE_ALL) == "1" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although {REQUIRE_ALL}=1: {report.longrepr}"
    return report
