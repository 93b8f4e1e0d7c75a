"""The examples of docs/testing.md are run as a reader would, and the fixtures in each way to run async tests."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "testing.md"
ASYNC_TEST = """
import pytest
from omnitron import rpc, service, define_system, Process
from omnitron.testing import FakeClock

@service("counter@1.0.0")
class Counter:
    @rpc
    async def double(self, number: int) -> int:
        return 2 * number

SYSTEM = define_system(name="a", version="1.0.0", processes=[Process(name="p", module=__name__)])

{mark}
async def test_fixtures(running_app, fake_clock, seed):
    async with running_app(SYSTEM, "p", clock=fake_clock) as app:
        assert app.clock is fake_clock
        assert await app.remote(Counter).double(seed) == 2 * seed
"""


LOOPS = ("-o", "asyncio_default_fixture_loop_scope=function")  # which some versions of pytest-asyncio want to be told


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *arguments],
        cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "PYTEST_ADDOPTS": ""},
    )  # fmt: skip


def test_the_examples_of_the_documentation_pass(tmp_path: Path) -> None:
    blocks = re.findall(r"```(?:python|toml)\n# (\S+)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    for name, text in blocks:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    done = run_pytest(tmp_path, *LOOPS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout


@pytest.mark.parametrize(
    ("mark", "options"),
    [
        ("", (*LOOPS, "-o", "asyncio_mode=auto")),
        ("@pytest.mark.asyncio", (*LOOPS, "-o", "asyncio_mode=strict")),
        ("@pytest.mark.anyio", ("-p", "no:asyncio")),
    ],
    ids=["pytest-asyncio auto", "pytest-asyncio strict", "anyio"],
)
def test_the_fixtures_work_however_async_tests_are_run(tmp_path: Path, mark: str, options: tuple[str, ...]) -> None:
    anyio = "\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n" if "anyio" in mark else ""
    (tmp_path / "test_it.py").write_text(ASYNC_TEST.format(mark=mark) + anyio)
    done = run_pytest(tmp_path, *options)
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


def test_a_failed_test_tells_its_seed_and_is_repeated_with_it(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("def test_it(seed):\n    assert seed == -1\n")
    first = run_pytest(tmp_path, "-p", "no:asyncio")
    found = re.search(r"repeat with (--omnitron-seed=\d+)", first.stdout)
    assert found is not None, first.stdout
    assert f"repeat with {found[1]}" in run_pytest(tmp_path, "-p", "no:asyncio", found[1]).stdout
    assert "1 passed" in run_pytest(tmp_path, "-p", "no:asyncio", "--omnitron-seed=-1").stdout
