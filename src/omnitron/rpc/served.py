"""What a server serves: a method bound to an instance, with its gates and counters."""

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.rpc.admission import Gate
from omnitron.rpc.context import CallContext
from omnitron.rpc.contract import MethodContract, ServiceContract
from omnitron.wire.frames import Body


class Invocation(msgspec.Struct, frozen=True):
    """A call as an interceptor sees it: decoded and admitted, not begun."""

    method: MethodContract
    args: tuple[Any, ...]
    context: CallContext


Proceed = Callable[[], Awaitable[Any]]
Interceptor = Callable[[Invocation, Proceed], Awaitable[Any]]
"""`await proceed()` runs the method (and later interceptors) and gives its result, or the iterator of a stream."""


@dataclass(slots=True)
class MethodStats:
    """Since the start. `busy_s`: the sum of the calls' durations, in seconds."""

    calls: int = 0
    failed: int = 0
    busy_s: float = 0.0


@dataclass(slots=True, eq=False)
class Served:
    """One method a server answers.

    threaded: it is a plain function and runs in a thread. direct: `await function(*args)` is all there is to it.
    """

    contract: MethodContract
    title: str
    decode: Callable[[Body], tuple[Any, ...]]
    function: Callable[..., Any]
    stream: bool
    threaded: bool
    direct: bool
    system: bool
    gates: tuple[Gate[Any], ...]
    stats: MethodStats = field(default_factory=MethodStats)

    def call(self, args: tuple[Any, ...]) -> Any:
        """What the function gives for arguments in the order of the parameters."""
        split = self.contract.positional
        if len(args) <= split:
            return self.function(*args)
        names = (param.name for param in self.contract.params[split:])
        return self.function(*args[:split], **dict(zip(names, args[split:], strict=False)))


def serve_method(
    service: ServiceContract,
    method: MethodContract,
    instance: object,
    gate: Gate[Any],
    streams: Gate[Any],
    *,
    system: bool,
    intercepted: bool,
) -> Served:
    """Bind a method. Raises DefinitionError if the instance does not have it."""
    function = getattr(instance, method.name, None)
    if not callable(function):
        raise DefinitionError(
            f"{instance!r} serves {service} but has no method {method.name}.", remedy="Implement the whole contract."
        )
    threaded = not method.stream and not inspect.iscoroutinefunction(function)
    gates: tuple[Gate[Any], ...] = () if system else (streams,) if method.stream else (gate,)
    if method.mark.max_concurrency is not None:
        gates = (Gate(method.title, method.mark.max_concurrency, gate.queue_limit), *gates)
    direct = not (threaded or method.stream or intercepted or method.positional < len(method.params))
    return Served(method, method.title, method.decode_args, function, method.stream, threaded, direct, system, gates)
