"""`@on_start`, `@warmup`, `@on_stop` (of a method or a module's function) and `@provide` (of a module's function)."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args

import msgspec

from omnitron.base.errors import DefinitionError

F = TypeVar("F", bound=Callable[..., Any])
Moment = Literal["start", "warmup", "stop"]
Scope = Literal["app", "call"]


class HookMark(msgspec.Struct, frozen=True):
    """start: before readiness, in order. warmup: before readiness, after start. stop: after the drain, in reverse."""

    moment: Moment


class ProvideMark(msgspec.Struct, frozen=True):
    """scope: one instance for the process ("app"), or one for each call."""

    scope: Scope


def on_start(function: F) -> F:
    """Run it before the replica is ready."""
    return _hook(function, "start")


def warmup(function: F) -> F:
    """Run it after `on_start` and before the replica is ready, so that the first request finds everything warm."""
    return _hook(function, "warmup")


def on_stop(function: F) -> F:
    """Run it when the last call has ended."""
    return _hook(function, "stop")


def hook_marks(function: object) -> tuple[HookMark, ...]:
    """The hooks a function is, as written from top to bottom."""
    marks = getattr(function, "__omnitron_hooks__", ())
    return marks if isinstance(marks, tuple) else ()


def provide(scope: Scope = "app") -> Callable[[F], F]:
    """Make what this function returns, or yields once, injectable by its annotated type."""
    if scope not in get_args(Scope):
        raise DefinitionError(f"@provide({scope!r}) is not known.", remedy='Write @provide("app") or @provide("call").')

    def decorate(function: F) -> F:
        if getattr(function, "__annotations__", {}).get("return") is None:
            raise DefinitionError(
                f"@provide is on {getattr(function, '__qualname__', function)!r}, which does not say what it provides.",
                remedy="Annotate what it returns: def db() -> Database, or -> Iterator[Database] if it yields.",
            )
        setattr(function, "__omnitron_provide__", ProvideMark(scope))  # noqa: B010 - unknown to type checkers
        return function

    return decorate


def provide_mark(function: object) -> ProvideMark | None:
    """The mark of a provider, if it is one."""
    mark = getattr(function, "__omnitron_provide__", None)
    return mark if isinstance(mark, ProvideMark) else None


def _hook(function: F, moment: Moment) -> F:
    if not callable(function):
        raise DefinitionError(f"A hook for {moment!r} is on {function!r}.", remedy="Put it on a method or a function.")
    marks = hook_marks(function)
    setattr(function, "__omnitron_hooks__", (HookMark(moment), *marks))  # noqa: B010 - unknown to type checkers
    return function
