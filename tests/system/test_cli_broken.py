"""What is wrong with a definition is said with what to do about it, before anything starts, without a traceback."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_broken import BROKEN, COMMON

from omnitron.testing.real import RealSystem


@pytest.fixture(scope="module")
def system() -> Iterator[RealSystem]:
    with RealSystem() as system:
        yield system


def write(folder: Path, files: dict[str, str]) -> None:
    for file, text in {**COMMON, **files}.items():
        (folder / file).parent.mkdir(exist_ok=True)
        (folder / file).write_text(text)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_definition_gives_the_message_and_the_fix(system: RealSystem, tmp_path: Path, name: str) -> None:
    files, says = BROKEN[name]
    write(tmp_path, files)
    checked = system.cli("check", str(tmp_path), check=False)
    said = checked.stdout + checked.stderr
    assert checked.returncode == 1
    assert all(words in said for words in says), said
    assert "fix:" in said and "Traceback" not in said

    report = json.loads(system.cli("check", str(tmp_path), "--json", check=False).stdout)
    findings = [report["error"]] if "error" in report else [f for f in report["findings"] if f["level"] == "error"]
    assert findings and all(finding["message"] and finding["remedy"] for finding in findings)


@pytest.mark.parametrize("name", ["syntax error", "need not exposed"])
def test_up_refuses_a_broken_definition_before_it_starts_even_the_daemon(
    system: RealSystem, tmp_path: Path, name: str
) -> None:
    write(tmp_path, BROKEN[name][0])
    refused = system.cli("up", str(tmp_path), check=False)
    assert refused.returncode == 1 and "fix:" in refused.stdout + refused.stderr
    assert not system.home.daemon_info.exists()
