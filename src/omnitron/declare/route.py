"""`@route`: a custom HTTP route. One that says neither `public` nor `auth` is recorded so, and `check` refuses it."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec

from omnitron.base.errors import DefinitionError

F = TypeVar("F", bound=Callable[..., Any])
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RouteMark(msgspec.Struct, frozen=True):
    """method: upper case. pattern: a Starlette path. public: the reason it is open to all. auth: who may enter."""

    method: str
    pattern: str
    public: str | None = None
    auth: Any = None

    @property
    def guarded(self) -> bool:
        """Whether it says who may enter."""
        return self.public is not None or self.auth is not None


def route(method: str, pattern: str, *, public: str | None = None, auth: Any = None) -> Callable[[F], F]:
    """Answer `method pattern` with this method: it takes a Starlette request and returns a response.

    public: why anybody may call it, in words. auth: who may. Raises DefinitionError for anything else than a known
    method, a pattern that starts with "/", and at most one of `public` and `auth`.
    """
    mark = RouteMark(method.upper(), pattern, public, auth)
    if mark.method not in METHODS:
        raise DefinitionError(f"@route({method!r}, {pattern!r}): no such method.", remedy=f"Use {sorted(METHODS)}.")
    if not pattern.startswith("/"):
        raise DefinitionError(f"The route {pattern!r} is not a path.", remedy=f'Start it with "/": "/{pattern}".')
    if public is not None and auth is not None:
        raise DefinitionError(f"The route {pattern!r} is public and guarded.", remedy="Keep one of public and auth.")
    if public is not None and not public.strip():
        raise DefinitionError(f"The route {pattern!r} is public for no reason.", remedy="Say why: public='...'.")

    def decorate(function: F) -> F:
        marks = getattr(function, "__omnitron_routes__", ())
        setattr(function, "__omnitron_routes__", (mark, *marks))  # noqa: B010 - unknown to type checkers
        return function

    return decorate


def route_marks(function: object) -> tuple[RouteMark, ...]:
    """The routes of a function, as written from top to bottom."""
    marks = getattr(function, "__omnitron_routes__", ())
    return marks if isinstance(marks, tuple) else ()
