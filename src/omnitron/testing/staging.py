"""Which processes a test runs and what it puts in the place of what: read and checked before anything starts."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from omnitron.base.errors import DefinitionError, NotFound
from omnitron.base.names import suggest
from omnitron.child.assembly import GIVEN, Assembly, assemble
from omnitron.child.graph import shown
from omnitron.child.reader import contract, read_module
from omnitron.declare.remote import remote_target
from omnitron.model.ecosystem import Ecosystem
from omnitron.model.process import Process
from omnitron.model.system import System
from omnitron.rpc.versions import compatible
from omnitron.supervise.order import flat, start_order


@dataclass(frozen=True, slots=True)
class Part:
    """One process of the test. overrides: those that are injected into it."""

    app: str
    system: System
    process: Process
    cwd: Path
    assembly: Assembly
    overrides: Mapping[Any, Any]

    @property
    def target(self) -> str:
        return f"{self.app}/{self.process.name}"

    @property
    def services(self) -> tuple[type, ...]:
        return self.assembly.offer.services


@dataclass(frozen=True, slots=True)
class Staging:
    """remote_overrides: by the service they stand in for."""

    parts: tuple[Part, ...]
    remote_overrides: Mapping[type, object]

    def find(self, name: str) -> Part:
        """By "process" or "app/process"."""
        found = [part for part in self.parts if name in (part.target, part.process.name)]
        if len(found) == 1:
            return found[0]
        known = [part.target for part in self.parts]
        raise NotFound(f"{name!r} names {len(found) or 'none'} of {', '.join(known)}.{suggest(name, known)}")

    def in_order(self) -> list[Part]:
        """Who is called starts first, as under a keeper."""
        by_name = {part.target: part for part in self.parts}
        calls = {
            part.target: [other.target for other in self.parts for cls, _ in part.assembly.graph.remotes()
                          if other is not part and _offers(other, cls)]
            for part in self.parts
        }  # fmt: skip
        after = {part.target: [f"{part.app}/{name}" for name in part.process.depends_on] for part in self.parts}
        return [by_name[name] for name in flat(start_order(list(by_name), calls, after))]


def stage(
    ecosystem: Ecosystem, folders: Mapping[str, Path], names: Sequence[str], overrides: Mapping[Any, Any]
) -> Staging:
    """Raises DefinitionError for what a boot would refuse, and for overrides and remotes that lead nowhere."""
    chosen = _chosen(ecosystem, names)
    by_key = {remote_target(key) or key: value for key, value in overrides.items()}
    parts = tuple(_part(app, system, process, folders[app], by_key) for app, system, process in chosen)
    needed = [(cls, where) for part in parts for cls, where in part.assembly.graph.remotes()]
    remote = {cls: by_key[cls] for cls, _ in needed if cls in by_key}
    _check_overrides(by_key, parts, remote)
    for cls, where in needed:
        if cls not in remote and not any(_offers(part, cls) for part in parts):
            raise DefinitionError(
                f"{where} asks for Remote[{cls.__qualname__}], which none of the processes started offers: "
                f"{', '.join(part.target for part in parts)}.",
                remedy=f"Start its process too, with processes=[...], or give overrides={{{cls.__qualname__}: stub}}.",
            )
    return Staging(parts, remote)


def _chosen(ecosystem: Ecosystem, names: Sequence[str]) -> list[tuple[str, System, Process]]:
    everything = [
        (app.name, app.system, process)
        for app in ecosystem.apps
        if isinstance(app.system, System)
        for process in app.system.processes
    ]
    if not names:
        return [each for each in everything if each[2].command is None]
    known = {f"{app}/{process.name}": (app, system, process) for app, system, process in everything}
    chosen = {}
    for name in names:
        found = [target for target in known if name in (target, target.partition("/")[2])]
        if len(found) != 1:
            raise NotFound(
                f"{name!r} names {' and '.join(found) or 'no process'} of {ecosystem.name}."
                f"{suggest(name, [*known, *(target.partition('/')[2] for target in known)])}",
                remedy=f"Name one of {', '.join(known)}.",
            )
        if known[found[0]][2].command is not None:
            raise DefinitionError(
                f"{found[0]} is a command, which can not run inside a test.", remedy="Test it with RealSystem."
            )
        chosen[found[0]] = known[found[0]]
    return list(chosen.values())


def _part(app: str, system: System, process: Process, cwd: Path, overrides: Mapping[Any, Any]) -> Part:
    """A process is given no override of its own services: they are what is tested."""
    folder = cwd / (process.cwd or "")
    own = read_module(_module(process.module, folder)).services if process.module is not None else ()
    injected = {key: value for key, value in overrides.items() if key not in own}
    assembly = assemble(process, (*GIVEN, *injected))
    return Part(app, system, process, folder, assembly, injected)


def _module(name: str, folder: Path) -> ModuleType:
    """Import it. Raises DefinitionError if another of that name, not the one in the folder, is imported already."""
    module = importlib.import_module(name)
    path = folder.joinpath(*name.split("."))
    ours = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
    found = getattr(module, "__file__", None)
    if ours and found is not None and Path(found).resolve() not in [file.resolve() for file in ours]:
        raise DefinitionError(
            f"{ours[0]} can not be imported: the tests have imported another module {name!r} already, {found}.",
            remedy="Give one of them another name, or run their tests in separate runs of pytest.",
        )
    return module


def _check_overrides(overrides: Mapping[Any, Any], parts: Sequence[Part], remote: Mapping[type, object]) -> None:
    asked = {key for part in parts for key in part.assembly.graph.nodes if key not in part.services}
    for key, value in overrides.items():
        if key not in asked and key not in remote:
            known = [shown(k) for k in asked]
            own = any(key in part.services for part in parts)
            what = "is a service of the process under test itself" if own else "is asked for by nobody here"
            raise DefinitionError(
                f"The override of {shown(key)} would do nothing: it {what}.{suggest(shown(key), known)}",
                remedy=f"Remove it, or override one of {', '.join(sorted(known)) or 'nothing: nothing is injected'}.",
            )
        if isinstance(value, type) and isinstance(key, type):
            raise DefinitionError(
                f"The override of {shown(key)} is the class {value.__qualname__}.", remedy="Give an instance of it."
            )


def _offers(part: Part, cls: type) -> bool:
    wanted = contract(cls)
    return any(
        contract(own).name == wanted.name and compatible(wanted.version, contract(own).version) for own in part.services
    )
