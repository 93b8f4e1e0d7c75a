"""The project as a newcomer finds it: documentation that is current, examples that say how, nothing of this machine."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = {".py", ".pyi", ".md", ".toml", ".html", ".sql", ".lock", ".txt", ""}


def tracked() -> list[Path]:
    try:
        listed = subprocess.run(
            ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
    except (OSError, subprocess.CalledProcessError):
        pytest.fail("git is needed to know which files are the project's")
    return [ROOT / name for name in listed if (ROOT / name).suffix in TEXT and (ROOT / name).is_file()]


def test_the_generated_documentation_is_current() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "generate.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"run `make docs`:\n{done.stdout}{done.stderr}"


def test_links_in_the_documentation_lead_somewhere() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in tracked()
        if page.suffix == ".md"
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert broken == []


def test_each_example_says_how_to_start_it_and_has_a_test() -> None:
    for example in sorted((ROOT / "examples").glob("[0-9][0-9]-*")):
        readme = example / "README.md"
        assert readme.exists() and f"omnitron up examples/{example.name}" in readme.read_text(), example.name
        number = example.name[:2]
        assert list((ROOT / "tests" / "recipes").glob(f"test_{number}_*.py")), f"no test of {example.name}"


def test_nothing_names_a_package_index_or_a_place_on_one_machine() -> None:
    forbidden = re.compile(r"pypi\.org|pythonhosted|registry\.npmjs|deb\.debian\.org|(?<![\w./])/(work|root)/")
    own = Path(__file__)
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked()
        if path != own
        for match in [forbidden.search(path.read_text())]
        if match
    ]
    assert found == []


def test_the_version_is_said_once() -> None:
    declared = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    import omnitron

    assert declared is not None and omnitron.__version__ == declared[1]
