"""What a module offers, read from the marks the decorators left. The one place that knows which of them count.

A module offers the service classes it defines itself, not what it imports from elsewhere (a caller imports the class
for `Remote[T]`, and must not serve it), or exactly those in a module-level list `SERVICES`. Providers and hooks count
where they are visible, imported ones too: a shared `providers.py` is meant to be imported from. A provider also counts
beside the class it provides (child/graph.py).
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import ModuleType
from typing import Any

from omnitron.base.errors import DefinitionError
from omnitron.declare.hooks import Moment, ProvideMark, hook_marks, provide_mark
from omnitron.declare.route import RouteMark, route_marks
from omnitron.declare.schedule import ScheduleMark, schedule_marks
from omnitron.declare.service import service_mark
from omnitron.rpc.contract import ServiceContract, contract_of

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Offer:
    """services: classes, in the order of the code. providers and hooks: functions of the module itself."""

    module: ModuleType
    services: tuple[type, ...] = ()
    providers: tuple[tuple[Function, ProvideMark], ...] = ()
    functions: tuple[Function, ...] = ()

    def hooks(self, moment: Moment) -> Iterator[tuple[type | None, Function]]:
        """Functions of the module first, then methods, each with the service class it belongs to."""
        for function in self.functions:
            if any(mark.moment == moment for mark in hook_marks(function)):
                yield None, function
        for cls in self.services:
            for function in methods(cls):
                if any(mark.moment == moment for mark in hook_marks(function)):
                    yield cls, function

    def jobs(self) -> Iterator[tuple[type, Function, ScheduleMark]]:
        for cls in self.services:
            for function in methods(cls):
                for mark in schedule_marks(function):
                    yield cls, function, mark

    def routes(self) -> Iterator[tuple[type, Function, RouteMark]]:
        for cls in self.services:
            for function in methods(cls):
                for mark in route_marks(function):
                    yield cls, function, mark


def read_module(module: ModuleType) -> Offer:
    """Raises DefinitionError for a `SERVICES` that names something else than services."""
    functions = [value for value in vars(module).values() if inspect.isfunction(value)]
    providers = tuple((f, mark) for f in functions if (mark := provide_mark(f)) is not None)
    return Offer(
        module=module,
        services=_services(module),
        providers=providers,
        functions=tuple(f for f in functions if hook_marks(f)),
    )


def _services(module: ModuleType) -> tuple[type, ...]:
    listed = vars(module).get("SERVICES")
    if listed is None:
        own = [v for v in vars(module).values() if isinstance(v, type) and v.__module__ == module.__name__]
        return tuple(dict.fromkeys(cls for cls in own if service_mark(cls) is not None))
    if not isinstance(listed, list | tuple):
        raise DefinitionError(f"SERVICES of {module.__name__} is {listed!r}.", remedy="Make it a list of classes.")
    for cls in listed:
        if not isinstance(cls, type) or service_mark(cls) is None:
            raise DefinitionError(
                f"SERVICES of {module.__name__} holds {cls!r}, which is not a service.",
                remedy='Mark the class with @service("name@1.0.0"), or remove it from the list.',
            )
    return tuple(listed)


@lru_cache(maxsize=256)
def contract(cls: type) -> ServiceContract:
    """The contract of a service class. Kept, so that a template reads it once for all its forks."""
    return contract_of(cls)


def methods(cls: type) -> Iterator[Function]:
    """The functions of a class as instances see them, in the order of the code, bases first."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        found.update(vars(base))
    for value in found.values():
        if inspect.isfunction(value):
            yield value


def marked(cls: type, attribute: str) -> bool:
    """Whether any method of the class bears the mark."""
    return any(hasattr(function, attribute) for function in methods(cls))
