"""What `omnitron.testing` offers is a promise to the tests of others."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import omnitron.testing

PINNED = [
    "CALM", "DeadLetter", "FakeClock", "FakeProcess", "FakeSpawner", "FakeStreams", "Faults", "RealSystem",
    "RunningApp", "STORM", "SeededRand", "SimLoop", "SimReplica", "World", "running_app",
]  # fmt: skip


def test_the_public_names_are_these_for_programs_and_type_checkers() -> None:
    stub = ast.parse(Path(omnitron.testing.__file__).with_suffix(".pyi").read_text())
    seen = [alias.asname for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(vars(omnitron.testing)["__all__"]) == sorted(PINNED)
    assert sorted(filter(None, seen)) == sorted(PINNED)


@pytest.mark.parametrize("name", PINNED)
def test_each_public_name_can_be_imported(name: str) -> None:
    assert getattr(omnitron.testing, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'FakeClok'"):
        omnitron.testing.FakeClok  # type: ignore[attr-defined] # noqa: B018


def test_the_plugin_adds_nothing_to_what_pytest_imports() -> None:
    code = (
        "import sys, pytest; before = set(sys.modules); import omnitron.testing.plugin;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["omnitron", "omnitron.testing", "omnitron.testing.plugin"]
