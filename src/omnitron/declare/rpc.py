"""`@rpc`: this method can be called from other processes. What is not marked can not, on any transport."""

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, overload

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.base.units import Duration, seconds

F = TypeVar("F", bound=Callable[..., Any])


class RpcMark(msgspec.Struct, frozen=True):
    """How a method may be called.

    idempotent: running it twice does no more than once; a call whose worker died is tried again elsewhere.
    anonymous: edges (HTTP) let it be called without a principal.
    deadline_s: seconds a call may take if its caller sets no limit; None is the caller's default.
    key: the parameter whose value picks the replica by consistent hashing; None is any replica.
    max_concurrency: calls of this method that run at once in one replica; None is the replica's bound.
    """

    idempotent: bool = False
    anonymous: bool = False
    deadline_s: float | None = None
    key: str | None = None
    max_concurrency: int | None = None


@overload
def rpc(function: F, /) -> F: ...


@overload
def rpc(
    *,
    idempotent: bool = False,
    anonymous: bool = False,
    deadline: Duration | None = None,
    key: str | None = None,
    max_concurrency: int | None = None,
) -> Callable[[F], F]: ...


def rpc(
    function: Callable[..., Any] | None = None,
    /,
    *,
    idempotent: bool = False,
    anonymous: bool = False,
    deadline: Duration | None = None,
    key: str | None = None,
    max_concurrency: int | None = None,
) -> Any:
    """Mark a method as callable; see `RpcMark` for the options, deadlines are seconds or text like "30s".

    `async def` runs on the event loop, `def` in a thread, an async generator is a stream.
    Raises DefinitionError for options that can not hold.
    """
    if max_concurrency is not None and max_concurrency < 1:
        raise DefinitionError(f"@rpc(max_concurrency={max_concurrency}) lets nothing run.", remedy="Use 1 or more.")
    deadline_s = None if deadline is None else seconds(deadline, what="deadline")
    if deadline_s == 0:
        raise DefinitionError("@rpc(deadline=0) lets no call finish.", remedy="Leave it out, or give it time.")
    mark = RpcMark(idempotent, anonymous, deadline_s, key, max_concurrency)

    def decorate(target: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.isfunction(target):
            raise DefinitionError(
                f"@rpc is on {target!r}.", remedy="Put it directly on a method, below other decorators."
            )
        if key is not None and key not in inspect.signature(target).parameters:
            raise DefinitionError(
                f"@rpc(key={key!r}) on {target.__qualname__} names no parameter of it.",
                remedy="Name the parameter whose value chooses the replica.",
            )
        setattr(target, "__omnitron_rpc__", mark)  # noqa: B010 - type checkers know no such attribute
        return target

    return decorate if function is None else decorate(function)


def rpc_mark(function: object) -> RpcMark | None:
    """The mark of a function or method, if it has one."""
    mark = getattr(function, "__omnitron_rpc__", None)
    return mark if isinstance(mark, RpcMark) else None
