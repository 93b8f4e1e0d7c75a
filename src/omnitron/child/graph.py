"""Who needs what: the dependency graph of a replica, checked as a whole before anything is built.

A parameter's annotation is its key. What answers to a key, first match first:

    remote    Remote[T]: a proxy of a service in another process
    given     what the replica itself has, such as Clock
    provider  an `@provide` function, of the process's module or beside the class, whose return annotation is the key
    kit       a class with `__omnitron_provide__` (control/provide.py)
    class     a service of the module, or a class whose constructor asks only for what can be injected

The surprise: a class with a parameter nobody provides but a default (`Redis(host="localhost")`) is *not* built by
itself, unless it is a service: what would be made with defaults nobody chose needs an `@provide` function.
"""

import collections.abc
import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from omnitron.base.errors import DefinitionError
from omnitron.base.names import suggest
from omnitron.control.provide import PROVIDE
from omnitron.declare.hooks import Scope, provide_mark
from omnitron.declare.remote import remote_target

Kind = Literal["remote", "given", "provider", "kit", "class"]
_YIELDS: Final = (
    collections.abc.Iterator,
    collections.abc.Generator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
)
_VARIADIC: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Param:
    name: str
    key: Any
    required: bool


@dataclass(frozen=True, slots=True)
class Node:
    """One thing that can be injected. make: the class or function called with `params`, for provider and class."""

    key: Any
    kind: Kind
    scope: Scope = "app"
    make: Callable[..., Any] | None = None
    params: tuple[Param, ...] = ()


@dataclass(slots=True)
class Graph:
    """nodes: in an order in which each comes after what it needs. calls: what each function is called with."""

    services: tuple[type, ...]
    providers: Mapping[Any, Callable[..., Any]]
    given: frozenset[Any]
    nodes: dict[Any, Node] = field(default_factory=dict)
    calls: dict[Callable[..., Any], tuple[Param, ...]] = field(default_factory=dict)

    def remotes(self) -> list[tuple[type, str]]:
        """Each `Remote[T]` with where it is asked for: "Market.pool"."""
        found = []
        for owner, params in [(n.make, n.params) for n in self.nodes.values()] + list(self.calls.items()):
            for param in params:
                if (target := remote_target(param.key)) is not None:
                    found.append((target, f"{getattr(owner, '__qualname__', owner)}.{param.name}"))
        return list(dict.fromkeys(found))

    def add(self, key: Any) -> None:
        """Make the key buildable. Raises DefinitionError with the chain that leads to what is missing."""
        _Walk(self).node(key, ())

    def add_call(self, function: Callable[..., Any], skip: int) -> None:
        """Make the function callable: its parameters, but for the first `skip`, are injected."""
        params = parameters(function, skip)
        walk = _Walk(self)
        self.calls[function] = tuple(p for p in params if walk.wanted(p, function, ()))


def build_graph(
    services: Iterable[type],
    providers: Iterable[Callable[..., Any]],
    given: Iterable[Any],
    *,
    extra: Iterable[Any] = (),
) -> Graph:
    """The graph of all services (and `extra` keys). Raises DefinitionError naming the chain."""
    by_key: dict[Any, Callable[..., Any]] = {}
    for provider in providers:
        key = provided_key(provider)
        if by_key.setdefault(key, provider) is not provider:
            raise DefinitionError(
                f"{shown(key)} is provided twice: by {provider.__qualname__} and {by_key[key].__qualname__}.",
                remedy="Remove one, or let one return another type.",
            )
    graph = Graph(tuple(services), by_key, frozenset(given))
    for key in graph.services:
        graph.add(key)
    return graph


class _Walk:
    """Depth first from one root; `path` is the chain of keys from there, for cycles, and texts, for messages."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def node(self, key: Any, path: tuple[Any, ...]) -> Node:
        graph = self.graph
        if (found := graph.nodes.get(key)) is not None:
            return found
        if key in path:
            cycle = " -> ".join(shown(k) for k in (*path[path.index(key) :], key))
            raise DefinitionError(
                f"{shown(key)} needs itself: {cycle}.", remedy="Move what both need into a third class."
            )
        node = self._make(key)
        params = tuple(p for p in node.params if self.wanted(p, node.make, (*path, key), node))
        graph.nodes[key] = node = Node(node.key, node.kind, node.scope, node.make, params)
        return node

    def _make(self, key: Any) -> Node:
        graph = self.graph
        if remote_target(key) is not None:
            return Node(key, "remote")
        if key in graph.given:
            return Node(key, "given")
        if (provider := graph.providers.get(key) or _beside(key)) is not None:
            mark = provide_mark(provider)
            return Node(key, "provider", mark.scope if mark else "app", provider, parameters(provider))
        if isinstance(key, type) and hasattr(key, PROVIDE):
            return Node(key, "kit")
        if key in graph.services or self.buildable(key):
            return Node(key, "class", "app", key, parameters(key))
        raise LookupError(key)

    def buildable(self, key: Any) -> bool:
        """Whether we may call the constructor: of a plain class with each parameter annotated and required."""
        if not isinstance(key, type) or key.__module__ == "builtins" or inspect.isabstract(key):
            return False
        if getattr(key, "_is_protocol", False):
            return False
        try:
            given = inspect.signature(key).parameters.values()
        except (TypeError, ValueError):
            return False
        return all(p.kind not in _VARIADIC and p.default is p.empty and p.annotation is not p.empty for p in given)

    def wanted(
        self, param: Param, owner: Callable[..., Any] | None, path: tuple[Any, ...], node: Node | None = None
    ) -> bool:
        """Whether the parameter is injected (else its default is used)."""
        try:
            need = self.node(param.key, path)
        except LookupError:
            if not param.required:
                return False
            raise self._missing(param, owner, path) from None
        if node is not None and node.scope == "app" and need.scope == "call":
            raise DefinitionError(
                f"{shown(owner)}({param.name}: {shown(param.key)}) lives as long as the process, and "
                f'{shown(param.key)} as long as one call (@provide("call")).',
                remedy="Ask for it in the handler or job that uses it.",
            )
        return True

    def _missing(self, param: Param, owner: Any, path: tuple[Any, ...]) -> DefinitionError:
        name = f"{shown(owner)}.__init__" if isinstance(owner, type) else shown(owner)
        known = [shown(k) for k in (*self.graph.providers, *self.graph.services, *self.graph.nodes)]
        via = f" It is asked for by {' -> '.join(shown(k) for k in path)}." if len(path) > 1 else ""
        return DefinitionError(
            f"{name}({param.name}: {shown(param.key)}) needs {shown(param.key)}, which nobody provides."
            f"{via}{suggest(shown(param.key), known)}",
            remedy=_remedy(param.key),
            details={"parameter": param.name, "type": shown(param.key)},
        )


def _beside(key: Any) -> Callable[..., Any] | None:
    """An `@provide` function for the class in the module that defines the class."""
    module = sys.modules.get(getattr(key, "__module__", None) or "")
    for value in list(vars(module).values()) if module is not None and isinstance(key, type) else ():
        if inspect.isfunction(value) and provide_mark(value) is not None and provided_key(value) == key:
            return value
    return None


def _remedy(key: Any) -> str:
    name = shown(key)
    if isinstance(key, type) and "__omnitron_service__" in vars(key):
        return f"It is a service: write Remote[{name}] to call it where it runs."
    return f"Write @provide() def make_{name.split('[')[0].split('.')[-1].lower()}() -> {name} in the module."


def parameters(target: Callable[..., Any], skip: int = 0) -> tuple[Param, ...]:
    """What a function (but for its first `skip` parameters) or a constructor asks for.

    Raises DefinitionError for what has no annotation.
    """
    init: Any = inspect.getattr_static(target, "__init__") if isinstance(target, type) else target
    if init is object.__init__:
        return ()
    try:
        hints = get_type_hints(init, include_extras=True)
    except NameError as error:
        raise DefinitionError(
            f"The annotations of {shown(target)} can not be read: {error}.",
            remedy="Import the type at module level, not under TYPE_CHECKING or inside a function.",
        ) from None
    found = list(inspect.signature(init).parameters.values())[1 if isinstance(target, type) else skip :]
    return tuple(_param(target, p, hints) for p in found if p.kind not in _VARIADIC)


def _param(target: Callable[..., Any], parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Param:
    required = parameter.default is parameter.empty
    if parameter.name not in hints and required:
        raise DefinitionError(
            f"{shown(target)} has the parameter {parameter.name!r} without a type.",
            remedy="Annotate it: what is injected is found by its type.",
        )
    return Param(parameter.name, hints.get(parameter.name), required)


def provided_key(provider: Callable[..., Any]) -> Any:
    """The type a provider makes: what it returns, or what its iterator yields."""
    hints = get_type_hints(provider, include_extras=True)
    result = hints["return"]
    return get_args(result)[0] if get_origin(result) in _YIELDS and get_args(result) else result


def shown(key: Any) -> str:
    """A type or function as people write it."""
    if (target := remote_target(key)) is not None:
        return f"Remote[{target.__qualname__}]"
    if get_origin(key) is not None:
        return str(key).replace("typing.", "")
    return getattr(key, "__qualname__", None) or str(key).replace("typing.", "")
