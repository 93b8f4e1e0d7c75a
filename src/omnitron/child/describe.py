"""`python -m omnitron.child.describe PATH [--app NAME]`: a definition and what its code says, as JSON on stdout.

Runs in a throwaway process of the app's own interpreter, so that neither daemon nor CLI imports user code. Exit code 0
with a `model.facts.Description`, or 1 with {"error": {"code", "message", "remedy", "trace"}}. What user code prints
goes to standard error. The modules of each app are imported in one more process per working directory, since two apps
may each have a module of the same name.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from omnitron.base.errors import DefinitionError, NotFound, OmnitronError
from omnitron.base.find import find_definition
from omnitron.base.names import suggest
from omnitron.child.definition import read_ecosystem
from omnitron.child.facts import take_stdout
from omnitron.model.ecosystem import App
from omnitron.model.facts import AppFacts, Description, ProcessFacts
from omnitron.model.process import Process
from omnitron.model.system import System

IMPORT_TIMEOUT_S: Final = 60.0
"""For the imports of all modules of one working directory."""


def describe(path: Path, only: str | None = None, timeout_s: float = IMPORT_TIMEOUT_S) -> Description:
    """Raises DefinitionError if the definition can not be read; what is wrong with a module is among its facts."""
    ecosystem, folders = read_ecosystem(path)
    if only is not None and only not in folders:
        raise NotFound(f"{path} has no app {only!r}.{suggest(only, folders)}", remedy="Name one of its apps.")
    wanted = [app for app in ecosystem.apps if only in (None, app.name)]
    running = {app.name: _start(app, folders[app.name]) for app in wanted}
    apps = []
    for app in wanted:
        facts = {fact.process: fact for reader in running[app.name] for fact in reader.finish(timeout_s)}
        system = _system(app)
        ordered = tuple(facts.get(p.name, ProcessFacts(p.name)) for p in system.processes)
        apps.append(AppFacts(app.name, system, str(folders[app.name]), ordered))
    return Description(str(path), sys.executable, ecosystem, tuple(apps))


def _system(app: App) -> System:
    if not isinstance(app.system, System):
        raise DefinitionError(f"App {app.name!r} was not read.")
    return app.system


def _start(app: App, folder: Path) -> list["_Reader"]:
    system = _system(app)
    groups: dict[Path, list[Process]] = {}
    for process in system.processes:
        if process.command is None:
            cwd = folder / process.cwd if process.cwd is not None else folder
            groups.setdefault(cwd, []).append(process)
    return [_Reader(cwd, system.env, processes) for cwd, processes in groups.items()]


class _Reader:
    """One process that imports the modules of one working directory."""

    def __init__(self, cwd: Path, env: dict[str, str], processes: list[Process]) -> None:
        self._processes = processes
        self._broken = "" if cwd.is_dir() else f"there is no folder {cwd}"
        if self._broken:
            return
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "omnitron.child.facts"],
            cwd=cwd,
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if self._popen.stdin is not None:
            self._popen.stdin.write(msgspec.json.encode(processes))
            self._popen.stdin.close()  # all start to import now, whoever is read first
            self._popen.stdin = None

    def finish(self, timeout_s: float) -> list[ProcessFacts]:
        """The facts; for a process whose import did not come to an end, that is its error."""
        if self._broken:
            return [ProcessFacts(process.name, error=self._broken) for process in self._processes]
        try:
            output, _ = self._popen.communicate(timeout=timeout_s)
            end = f"ended the interpreter (status {self._popen.returncode})"
        except subprocess.TimeoutExpired:
            self._popen.kill()
            output, _ = self._popen.communicate()
            end = f"did not end within {timeout_s:g} s: move what waits or loops out of the module's top level"
        facts = [msgspec.json.decode(line, type=ProcessFacts) for line in output.splitlines()]
        for process in self._processes[len(facts) : len(facts) + 1]:
            facts.append(ProcessFacts(process.name, error=f"The import of {process.module or process.asgi} {end}."))
        for process in self._processes[len(facts) :]:
            facts.append(ProcessFacts(process.name, error=f"Not read, since {facts[-1].process} could not be."))
        return facts


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m omnitron.child.describe", description="Describe a definition.")
    parser.add_argument("path", nargs="?", help="definition file, or the folder it is in")
    parser.add_argument("--app", help="only this app")
    arguments = parser.parse_args()
    out = take_stdout()
    try:
        answer = msgspec.json.encode(describe(find_definition(arguments.path, Path.cwd()), arguments.app), enc_hook=str)
        status = 0
    except OmnitronError as error:
        trace = error.details.pop("trace", "")
        shape = {"code": error.code, "message": error.message, "remedy": error.remedy, "trace": trace}
        answer, status = msgspec.json.encode({"error": shape}), 1
    out.write(answer + b"\n")
    out.flush()
    return status


if __name__ == "__main__":
    sys.exit(main())
