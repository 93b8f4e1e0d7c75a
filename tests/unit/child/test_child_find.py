from pathlib import Path

import pytest

from omnitron.base.errors import DefinitionError, NotFound
from omnitron.base.find import find_definition


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_file_is_itself_and_a_folder_what_is_in_it(tmp_path: Path) -> None:
    system = write(tmp_path / "a" / "system.py")
    assert find_definition("a/system.py", tmp_path) == system
    assert find_definition("a", tmp_path) == system


def test_without_a_target_the_nearest_above_is_found(tmp_path: Path) -> None:
    system = write(tmp_path / "system.py")
    (tmp_path / "deep" / "er").mkdir(parents=True)
    assert find_definition(None, tmp_path / "deep" / "er") == system


def test_pyproject_comes_first_then_the_ecosystem(tmp_path: Path) -> None:
    write(tmp_path / "system.py")
    ecosystem = write(tmp_path / "ecosystem.py")
    assert find_definition(tmp_path, tmp_path) == ecosystem
    named = write(tmp_path / "conf" / "mine.py")
    write(tmp_path / "pyproject.toml", '[tool.omnitron]\ndefinition = "conf/mine.py"\n')
    assert find_definition(None, tmp_path) == named


@pytest.mark.parametrize(
    ("pyproject", "words"),
    [
        ('[tool.omnitron]\ndefinition = "gone.py"', "gone.py"),
        ("[tool.omnitron]\ndefinition = 1", "is 1"),
        ("[tool.omnitron", "can not be read"),
    ],
)
def test_a_wrong_pyproject_is_named(tmp_path: Path, pyproject: str, words: str) -> None:
    write(tmp_path / "pyproject.toml", pyproject)
    with pytest.raises(DefinitionError, match=words):
        find_definition(None, tmp_path)


def test_what_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no file or folder"):
        find_definition("nothing.py", tmp_path)
    with pytest.raises(NotFound, match="no definition in"):
        find_definition(tmp_path, tmp_path)
