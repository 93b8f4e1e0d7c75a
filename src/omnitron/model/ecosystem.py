"""Several apps, their infrastructure and stacks in one file."""

from collections.abc import Mapping, Sequence

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.base.names import check_name
from omnitron.model.fields import normalise_tuple
from omnitron.model.infrastructure import Infrastructure
from omnitron.model.stack import Stack
from omnitron.model.system import System

DEFAULT_STACK = "dev"


class Watch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """directory: extra folder to watch for reload, relative to the app's cwd."""

    directory: str = "."
    include: tuple[str, ...] = ()


class App(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An app of an ecosystem: `system` is a System, or the path of a file that defines one."""

    name: str
    system: System | str
    cwd: str | None = None
    watch: Watch | None = None
    depends_on: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name, "app")
        normalise_tuple(self, "depends_on")


class Ecosystem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `define_ecosystem` returns. A lone System is an ecosystem of one app, named after it."""

    name: str
    apps: tuple[App, ...]
    infrastructure: Infrastructure = Infrastructure()
    stacks: dict[str, Stack] = {}

    def __post_init__(self) -> None:
        check_name(self.name, "ecosystem")
        normalise_tuple(self, "apps")
        names = [app.name for app in self.apps]
        for name in set(names):
            if names.count(name) > 1:
                raise DefinitionError(f"Ecosystem {self.name!r} has two apps named {name!r}.", remedy="Rename one.")
        for name in self.stacks:
            check_name(name, "stack")


def define_ecosystem(
    *,
    name: str,
    apps: Sequence[App | System],
    infrastructure: Infrastructure | None = None,
    stacks: Mapping[str, Stack] | None = None,
) -> Ecosystem:
    """Declare several apps. Raises DefinitionError with the path of the first value of a wrong type."""
    wrapped = tuple(App(name=a.name, system=a) if isinstance(a, System) else a for a in apps)
    ecosystem = Ecosystem(
        name=name, apps=wrapped, infrastructure=infrastructure or Infrastructure(), stacks=dict(stacks or {})
    )
    try:
        return msgspec.convert(msgspec.to_builtins(ecosystem), Ecosystem)
    except (msgspec.ValidationError, TypeError) as error:
        raise DefinitionError(f"The definition of ecosystem {name!r} has a value of a wrong type: {error}.") from None


def as_ecosystem(definition: System | Ecosystem) -> Ecosystem:
    """A lone System as an ecosystem of one."""
    if isinstance(definition, Ecosystem):
        return definition
    return Ecosystem(name=definition.name, apps=(App(name=definition.name, system=definition),))
