"""The hash of an app's code: changes with what is run, and only with that."""

from pathlib import Path

import pytest

from omnitron.daemon import code
from omnitron.daemon.code import code_hash


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "a.py").write_text("x = 1")
    (tmp_path / "b.py").write_text("y = 1")
    return tmp_path


def test_content_names_and_new_files_count(project: Path) -> None:
    seen = {code_hash(str(project))}
    (project / "pkg" / "a.py").write_text("x = 2")
    seen.add(code_hash(str(project)))
    (project / "b.py").rename(project / "c.py")
    seen.add(code_hash(str(project)))
    (project / "d.py").write_text("")
    seen.add(code_hash(str(project)))
    assert len(seen) == 4


def test_what_is_no_code_of_the_app_does_not_count(project: Path) -> None:
    before = code_hash(str(project))
    for folder in (".git", "__pycache__", "venv", "node_modules"):
        (project / folder).mkdir()
        (project / folder / "x.py").write_text("1")
    (project / "venv" / "pyvenv.cfg").write_text("")
    (project / "data.json").write_text("{}")
    (project / "b.py").touch()
    assert code_hash(str(project)) == before


def test_files_beyond_the_bytes_count_by_size_and_time(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "MAX_BYTES", 0)
    before = code_hash(str(project))
    (project / "b.py").write_text("y = 12345")
    assert code_hash(str(project)) != before


def test_files_beyond_the_number_are_not_looked_at(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(code, "MAX_FILES", 1)
    before = code_hash(str(project))
    (project / "pkg" / "a.py").write_text("x = 2")
    assert code_hash(str(project)) == before


def test_a_folder_that_is_not_there_has_a_hash_too(tmp_path: Path) -> None:
    assert code_hash(str(tmp_path / "missing")) == code_hash(str(tmp_path / "other"))
