"""Builds what a graph says, in its order, and closes it in reverse."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from contextvars import copy_context
from functools import partial
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

    @asynccontextmanager
    async def arguments(self, function: Callable[..., Any]) -> AsyncIterator[dict[str, Any]]:
        """What the function asks for, by parameter; what lives as long as one call ends with the block."""
        params = self.graph.calls[function]
        if not any(self.graph.nodes[p.key].scope == "call" for p in params):
            yield {p.name: self._built[p.key] for p in params}
            return
        async with AsyncExitStack() as stack:
            built = dict(self._built)
            for key, node in self.graph.nodes.items():
                if node.scope == "call":
                    built[key] = await self._make(node, built, stack)
            yield {p.name: built[p.key] for p in params}

    async def call(self, function: Callable[..., Any], *args: Any, threads: Executor | None = None) -> Any:
        """Call it with `args` (with the instance first if it is a method) and then what it asks for.

        An async generator is returned as such, and what it asked for lives until it has ended. threads: where a plain
        function runs; None is on the event loop.
        """
        if inspect.isasyncgenfunction(function):
            return self._iterate(function, *args)
        async with self.arguments(function) as arguments:
            if threads is None or inspect.iscoroutinefunction(function):
                return await finish(function(*args, **arguments))
            call = partial(copy_context().run, partial(function, *args, **arguments))
            return await finish(await asyncio.get_running_loop().run_in_executor(threads, call))

    async def _iterate(self, function: Callable[..., Any], *args: Any) -> AsyncIterator[Any]:
        async with self.arguments(function) as arguments:
            async for item in function(*args, **arguments):
                yield item

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
