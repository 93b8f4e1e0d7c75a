"""Builds what a graph says, in its order, and closes it in reverse."""

import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

from omnitron.base.errors import DefinitionError
from omnitron.child.graph import Graph, Node, shown
from omnitron.control.provide import PROVIDE, ProvideContext
from omnitron.declare.remote import remote_target


class Container:
    """given: values for the graph's given keys. proxy: makes the client of a `Remote[T]`.

    `open` builds all that lives as long as the process; `call` runs one function with what it asks for.
    """

    def __init__(
        self, graph: Graph, context: ProvideContext, given: Mapping[Any, Any], proxy: Callable[[type], Any]
    ) -> None:
        self.graph = graph
        self._context = context
        self._proxy = proxy
        self._built: dict[Any, Any] = dict(given)
        self._stack = AsyncExitStack()

    def __getitem__(self, key: Any) -> Any:
        """What was built for the key."""
        return self._built[key]

    async def open(self, built: Callable[[Any], None] | None = None) -> None:
        """Build everything. `built` is told each service instance. What was built before an error is closed again."""
        try:
            for key, node in list(self.graph.nodes.items()):
                if node.scope == "app" and key not in self._built:
                    self._built[key] = value = await self._make(node, self._built, self._stack)
                    if built is not None and key in self.graph.services:
                        built(value)
        except BaseException:
            await self._stack.aclose()
            raise

    async def close(self) -> None:
        """Run the ends of all providers, last built first; all of them, even if one raises."""
        await self._stack.aclose()

    async def enter(self, kit: type, stack: AsyncExitStack) -> None:
        """Build a kit class that nobody asks for; `stack` ends it."""
        await self._kit(kit, stack)

    async def call(self, function: Callable[..., Any], *args: Any, bound: Any = None) -> Any:
        """Call it (bound to `bound` if it is a method) with `args` and what it asks for."""
        params = self.graph.calls[function]
        positional = args if bound is None else (bound, *args)
        needs_scope = any(self.graph.nodes[p.key].scope == "call" for p in params)
        if not needs_scope:
            return await finish(function(*positional, **{p.name: self._built[p.key] for p in params}))
        async with AsyncExitStack() as stack:
            built = await self._call_scope(stack)
            return await finish(function(*positional, **{p.name: built[p.key] for p in params}))

    async def _call_scope(self, stack: AsyncExitStack) -> dict[Any, Any]:
        built = dict(self._built)
        for key, node in self.graph.nodes.items():
            if node.scope == "call":
                built[key] = await self._make(node, built, stack)
        return built

    async def _make(self, node: Node, built: Mapping[Any, Any], stack: AsyncExitStack) -> Any:
        if node.kind == "remote":
            target = remote_target(node.key)
            return self._proxy(target) if target is not None else None
        if node.kind == "kit":
            return await self._kit(node.key, stack)
        if node.make is None:
            raise KeyError(node.key)
        arguments = {param.name: built[param.key] for param in node.params}
        if node.kind == "class":
            return node.make(**arguments)
        return await self._provide(node.make, arguments, stack)

    async def _provide(self, provider: Callable[..., Any], arguments: dict[str, Any], stack: AsyncExitStack) -> Any:
        if inspect.isasyncgenfunction(provider):
            return await stack.enter_async_context(asynccontextmanager(provider)(**arguments))
        if inspect.isgeneratorfunction(provider):
            return stack.enter_context(contextmanager(provider)(**arguments))
        return await finish(provider(**arguments))

    async def _kit(self, cls: type, stack: AsyncExitStack) -> Any:
        provide: Callable[[ProvideContext], AsyncIterator[Any]] = getattr(cls, PROVIDE)
        if not inspect.isasyncgenfunction(provide):
            raise DefinitionError(f"{shown(cls)}.{PROVIDE} does not yield.", remedy="Make it an async generator.")
        return await stack.enter_async_context(asynccontextmanager(provide)(self._context))


async def finish(value: Any) -> Any:
    """The value itself, or what it is when awaited."""
    return await value if inspect.isawaitable(value) else value
