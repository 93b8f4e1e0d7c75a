"""Where a definition is: shared by the CLI and `describe`. Reads `pyproject.toml`, runs nothing."""

import tomllib
from pathlib import Path
from typing import Any, Final

from omnitron.base.errors import DefinitionError, NotFound

DEFINITION_FILES: Final = ("ecosystem.py", "system.py")
_REMEDY: Final = (
    "Create a system.py with define_system(...), name a file with --config, "
    'or set definition = "path" under [tool.omnitron] in pyproject.toml.'
)


def find_definition(target: str | Path | None, cwd: Path) -> Path:
    """The absolute path of the definition: `target` itself if it is a file, the one in it if it is a folder; without a
    target the nearest one from `cwd` upwards. Raises NotFound, or DefinitionError for a wrong `[tool.omnitron]`.
    """
    if target is None:
        for folder in (cwd, *cwd.parents):
            if (found := _in_folder(folder)) is not None:
                return found
        raise NotFound(f"There is no definition in {cwd} or above it.", remedy=_REMEDY)
    path = (cwd / Path(target).expanduser()).resolve()
    if path.is_file():
        return path
    if not path.is_dir():
        raise NotFound(f"There is no file or folder {path}.", remedy="Name a definition file or the folder it is in.")
    found = _in_folder(path)
    if found is None:
        raise NotFound(f"There is no definition in {path}.", remedy=_REMEDY)
    return found


def _in_folder(folder: Path) -> Path | None:
    named = _named_in_pyproject(folder / "pyproject.toml")
    if named is not None:
        path = (folder / named).resolve()
        if path.is_dir():
            return _in_folder(path) if path != folder else None
        if not path.is_file():
            raise DefinitionError(
                f"{folder / 'pyproject.toml'} names the definition {named!r}, and there is no such file.",
                remedy="Correct `definition` under [tool.omnitron]; it is relative to pyproject.toml.",
            )
        return path
    for name in DEFINITION_FILES:
        if (folder / name).is_file():
            return (folder / name).resolve()
    return None


def _named_in_pyproject(file: Path) -> str | None:
    try:
        text = file.read_text(encoding="utf-8")
    except OSError:
        return None
    if "omnitron" not in text:
        return None
    try:
        tool: Any = tomllib.loads(text).get("tool", {})
    except tomllib.TOMLDecodeError as error:
        raise DefinitionError(f"{file} can not be read: {error}.", remedy="Correct its TOML.") from None
    section: Any = tool.get("omnitron", {})
    definition = section.get("definition") if isinstance(section, dict) else None
    if definition is not None and not isinstance(definition, str):
        raise DefinitionError(
            f"`definition` under [tool.omnitron] in {file} is {definition!r}.",
            remedy='Write a path, as in "system.py".',
        )
    return definition
