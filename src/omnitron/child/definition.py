"""Runs a definition file and finds what it defines."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Final

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.child.blame import blame
from omnitron.model.ecosystem import App, Ecosystem, as_ecosystem
from omnitron.model.system import System

_NAMES: Final = ("system", "ecosystem")
_MODULE_NAME: Final = "omnitron_definition"

_CORRECT: Final = "Correct it; `omnitron check --json` shows the whole traceback."


class Traced(DefinitionError):
    """A definition file could not be run; `details["trace"]` is its traceback."""


def read_ecosystem(path: Path) -> tuple[Ecosystem, dict[str, Path]]:
    """The definition with every `App(system="path")` read too, and the absolute folder of each app's modules.

    Raises DefinitionError.
    """
    definition = as_ecosystem(read_file(path))
    apps, folders = [], {}
    for app in definition.apps:
        system, home = _system_of(app, path)
        base = (path.parent / app.cwd) if app.cwd is not None else (home / system.cwd)
        if not base.is_dir():
            raise DefinitionError(
                f"The folder {base} of app {app.name!r} does not exist.",
                remedy="Correct its cwd, which is relative to the definition file.",
            )
        folders[app.name] = base.resolve()
        apps.append(msgspec.structs.replace(app, system=system))
    return msgspec.structs.replace(definition, apps=tuple(apps)), folders


def _system_of(app: App, path: Path) -> tuple[System, Path]:
    if isinstance(app.system, System):
        return app.system, path.parent
    file = (path.parent / app.system).resolve()
    if file.is_dir():
        file = file / "system.py"
    if not file.is_file():
        raise DefinitionError(
            f"App {app.name!r} is defined in {app.system!r}, and there is no file {file}.",
            remedy=f"Correct App(system=...); it is relative to {path}.",
        )
    system = read_file(file)
    if not isinstance(system, System):
        raise DefinitionError(
            f"{file} defines an ecosystem, and app {app.name!r} of {path} needs a system.",
            remedy="Name a file that calls define_system.",
        )
    return system, file.parent


def read_file(path: Path) -> System | Ecosystem:
    """Run one file, its folder first on sys.path, and take the System or Ecosystem it leaves in a variable."""
    with _importing_from(path.parent):
        spec = importlib.util.spec_from_file_location(_MODULE_NAME, path)
        if spec is None or spec.loader is None:
            raise DefinitionError(f"{path} is not a Python file.", remedy="Name a file that ends in .py.")
        module = importlib.util.module_from_spec(spec)
        sys.modules[_MODULE_NAME] = module
        try:
            spec.loader.exec_module(module)
        except (Exception, SystemExit) as error:
            message, trace = blame(error, path.parent)
            remedy = error.remedy if isinstance(error, DefinitionError) else _CORRECT
            raise Traced(message, remedy=remedy, details={"trace": trace, "file": str(path)}) from None
    return _defined_in(module, path)


def _defined_in(module: ModuleType, path: Path) -> System | Ecosystem:
    found = {name: v for name, v in vars(module).items() if isinstance(v, System | Ecosystem)}
    distinct = {id(value): value for value in found.values()}
    if len(distinct) == 1:
        return next(iter(distinct.values()))
    if not found:
        raise DefinitionError(
            f"{path} defines nothing: no variable of it holds a system.",
            remedy="Write system = define_system(...) or ecosystem = define_ecosystem(...).",
        )
    ecosystems = {id(v): v for v in found.values() if isinstance(v, Ecosystem)}
    if len(ecosystems) == 1:
        return next(iter(ecosystems.values()))
    named = [name for name in _NAMES if name in found]
    if len(named) != 1:
        raise DefinitionError(
            f"{path} defines several: {', '.join(sorted(found))}.",
            remedy="Name the one that counts `system`, or join them with ecosystem = define_ecosystem(...).",
        )
    return found[named[0]]


@contextmanager
def _importing_from(folder: Path) -> Iterator[None]:
    """What is imported from the folder is forgotten after: two apps may each have a module `common`."""
    before, path = set(sys.modules), list(sys.path)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if name == _MODULE_NAME or (file and Path(file).is_relative_to(folder) and "site-packages" not in file):
                del sys.modules[name]
