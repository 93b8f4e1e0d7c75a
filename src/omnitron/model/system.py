"""One app: its processes and what they need."""

from collections.abc import Sequence

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.base.names import check_name
from omnitron.model.fields import normalise_tuple
from omnitron.model.needs import Needs
from omnitron.model.process import Process
from omnitron.model.restart import Strategy
from omnitron.model.shutdown import Shutdown


class System(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `define_system` returns.

    strategy: what a crash of one process does to its siblings (OTP's words). critical: when the app fails, the stack
    is stopped in order. cwd: where its modules are found, relative to the definition file.
    """

    name: str
    version: str
    processes: tuple[Process, ...]
    needs: Needs = Needs()
    shutdown: Shutdown = Shutdown()
    strategy: Strategy = "one_for_one"
    critical: bool = False
    env: dict[str, str] = {}
    cwd: str = "."

    def __post_init__(self) -> None:
        check_name(self.name, "app")
        normalise_tuple(self, "processes")
        names = [process.name for process in self.processes]
        for name in names:
            if names.count(name) > 1:
                raise DefinitionError(
                    f"App {self.name!r} has {names.count(name)} processes named {name!r}.", remedy="Rename all but one."
                )
        if not self.processes:
            raise DefinitionError(f"App {self.name!r} has no processes.", remedy="Add at least one Process(...).")

    def process(self, name: str) -> Process:
        """The process of that name; KeyError if there is none."""
        for process in self.processes:
            if process.name == name:
                return process
        raise KeyError(name)


def define_system(
    *,
    name: str,
    version: str,
    processes: Sequence[Process],
    needs: Needs | None = None,
    shutdown: Shutdown | None = None,
    strategy: Strategy = "one_for_one",
    critical: bool = False,
    env: dict[str, str] | None = None,
    cwd: str = ".",
) -> System:
    """Declare an app. Raises DefinitionError with the path of the first value of a wrong type."""
    system = System(
        name=name,
        version=version,
        processes=tuple(processes),
        needs=needs or Needs(),
        shutdown=shutdown or Shutdown(),
        strategy=strategy,
        critical=critical,
        env=env or {},
        cwd=cwd,
    )
    return checked_types(system)


def checked_types(system: System) -> System:
    """Round-trip once, because building a struct checks no types."""
    try:
        return msgspec.convert(msgspec.to_builtins(system), System)
    except (msgspec.ValidationError, TypeError) as error:
        raise DefinitionError(
            f"The definition of app {system.name!r} has a value of a wrong type: {error}.",
            remedy="The path after `$` names the field; see docs/reference/definition.md.",
        ) from None
