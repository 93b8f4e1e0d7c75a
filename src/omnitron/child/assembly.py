"""A process's code as a whole: what its module offers, what its definition refers to, and the graph of both.

`describe` makes one to see whether it can be made; a replica makes one and runs it.
"""

import importlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from omnitron.base.clock import Clock
from omnitron.base.errors import DefinitionError
from omnitron.base.names import suggest
from omnitron.base.rand import Rand
from omnitron.base.tasks import TaskSet
from omnitron.child.graph import Graph, build_graph
from omnitron.child.reader import Offer, read_module
from omnitron.control.provide import ProvideContext
from omnitron.declare.hooks import Moment
from omnitron.declare.service import service_mark
from omnitron.model.process import Process

GIVEN: Final = (Clock, Rand, TaskSet, ProvideContext)
"""What any service may ask for: time, chance, tasks that end with the replica, and the replica itself."""


@dataclass(frozen=True, slots=True)
class Target:
    """A function of user code, or a method with the service class it belongs to. ref: "module:qualname"."""

    ref: str
    function: Callable[..., Any]
    owner: type | None = None


@dataclass(frozen=True, slots=True)
class RouteTarget:
    method: str
    pattern: str
    target: Target
    public: str | None
    auth: Any


@dataclass(frozen=True, slots=True)
class Assembly:
    offer: Offer
    graph: Graph
    start: tuple[Target, ...]
    warmup: tuple[Target, ...]
    stop: tuple[Target, ...]
    after_create: Target | None
    before_stop: Target | None
    readiness: Target | None
    routes: tuple[RouteTarget, ...]


def assemble(process: Process, given: Iterable[Any] = GIVEN) -> Assembly:
    """Import and read everything a process names. Raises DefinitionError, and whatever the imports raise.

    given: keys that are there already, and are not built.
    The module of an `asgi` process offers nothing: the application is all of it.
    """
    if process.transports.websocket is not None:
        raise DefinitionError(
            f"Process {process.name!r} has a WebSocket transport, and there is none yet.",
            remedy="Remove it; the application of an asgi process may serve WebSockets on its HTTP port.",
        )
    module = importlib.import_module(process.module or (process.asgi or "").partition(":")[0])
    offer = read_module(module) if process.module is not None else Offer(module)
    services = offer.services
    assembly = Assembly(
        offer=offer,
        graph=build_graph(services, (f for f, _ in offer.providers), given),
        start=_hooks(offer, "start"),
        warmup=(*(resolve(ref, services) for ref in process.warmup), *_hooks(offer, "warmup")),
        stop=tuple(reversed(_hooks(offer, "stop"))),
        after_create=_optional(process.hooks.after_create, services),
        before_stop=_optional(process.hooks.before_stop, services),
        readiness=_optional(process.health.readiness, services),
        routes=_routes(offer, process),
    )
    _add_calls(assembly)
    return assembly


def resolve(ref: str, services: tuple[type, ...] = ()) -> Target:
    """What "module:function" or "module:Service.method" names. Raises DefinitionError if there is no such."""
    module_name, _, path = ref.partition(":")
    value: Any = importlib.import_module(module_name)
    owner: type | None = None
    for part in path.split("."):
        owner = value if isinstance(value, type) else None
        if not hasattr(value, part):
            known = [name for name in vars(value) if not name.startswith("_")] if hasattr(value, "__dict__") else []
            raise DefinitionError(
                f"{ref!r} names {part!r}, which {module_name} does not have.{suggest(part, known)}",
                remedy="Correct the reference in the definition.",
            )
        value = getattr(value, part)
    if owner is not None and owner not in services:
        raise DefinitionError(
            f"{ref!r} is a method of a class that this process does not offer.", remedy="Name a function of a module."
        )
    if not callable(value):
        raise DefinitionError(f"{ref!r} is {value!r}, which can not be called.", remedy="Name a function.")
    return Target(ref, value, owner)


def service_name(cls: type) -> str:
    """ "name@version" of a service class."""
    return str(service_mark(cls))


def _optional(ref: str | None, services: tuple[type, ...]) -> Target | None:
    return None if ref is None else resolve(ref, services)


def _hooks(offer: Offer, moment: Moment) -> tuple[Target, ...]:
    return tuple(Target(_ref(function), function, owner) for owner, function in offer.hooks(moment))


def _routes(offer: Offer, process: Process) -> tuple[RouteTarget, ...]:
    own = [
        RouteTarget(mark.method, mark.pattern, Target(_ref(function), function, cls), mark.public, mark.auth)
        for cls, function, mark in offer.routes()
    ]
    custom = [
        RouteTarget(route.method, route.pattern, resolve(route.handler, offer.services), route.public, route.auth)
        for route in process.custom_routes
    ]
    return (*own, *custom)


def _add_calls(assembly: Assembly) -> None:
    """Let the graph see what each function is called with; the request of a route comes from outside."""
    hooks = (*assembly.start, *assembly.warmup, *assembly.stop)
    named = (assembly.after_create, assembly.before_stop, assembly.readiness)
    for target in (*hooks, *(t for t in named if t is not None)):
        assembly.graph.add_call(target.function, skip=int(target.owner is not None))
    for route in assembly.routes:
        assembly.graph.add_call(route.target.function, skip=1 + int(route.target.owner is not None))


def _ref(function: Callable[..., Any]) -> str:
    return f"{function.__module__}:{function.__qualname__}"
