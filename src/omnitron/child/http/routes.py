"""Custom routes: `@route` methods and `CustomRoute` functions, with Starlette requests and responses."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from omnitron.base.errors import DefinitionError, InvalidResult
from omnitron.child.assembly import RouteTarget
from omnitron.child.http.problems import Problem
from omnitron.child.http.rpc import encode_json, paced

Handler = Callable[[Request], Awaitable[Any]]
_PART: Final = re.compile(r"\{(\w+)(?::(\w+))?\}")
_KINDS: Final = {"": "[^/]+", "str": "[^/]+", "path": ".*", "int": "[0-9]+"}


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    pattern: str
    regex: re.Pattern[str]
    handler: Handler


class Routes:
    """First match in the order of the code. HEAD is answered by GET."""

    def __init__(self, targets: tuple[RouteTarget, ...], handler: Callable[[RouteTarget], Handler]) -> None:
        self._routes = [Route(t.method, t.pattern, compile_pattern(t.pattern), handler(t)) for t in targets]

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """None if no route has the path. Raises Problem 405 if one has it for other methods only."""
        wanted = ("HEAD", "GET") if method == "HEAD" else (method,)
        allowed: list[str] = []
        for route in self._routes:
            if (match := route.regex.fullmatch(path)) is not None:
                if route.method in wanted:
                    return route, match.groupdict()
                allowed.append(route.method)
        if not allowed:
            return None
        raise not_allowed(path, allowed)


def not_allowed(path: str, allowed: list[str]) -> Problem:
    methods = ", ".join(sorted({*allowed, "OPTIONS", *(["HEAD"] if "GET" in allowed else [])}))
    return Problem(405, "method_not_allowed", f"{path} answers {methods}.", headers=[(b"allow", methods.encode())])


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """ "/a/{name}/{rest:path}", or "/a/*" for the rest as `path`. Raises DefinitionError for another kind."""
    if pattern.endswith("*"):
        pattern = pattern[:-1] + "{path:path}"
    regex, end = "", 0
    for match in _PART.finditer(pattern):
        if (kind := _KINDS.get(match[2] or "")) is None:
            raise DefinitionError(
                f"The route {pattern!r} has a part of kind {match[2]!r}.",
                remedy="Use {name}, {name:int} or {name:path}.",
            )
        regex += re.escape(pattern[end : match.start()]) + f"(?P<{match[1]}>{kind})"
        end = match.end()
    return re.compile(regex + re.escape(pattern[end:]))


def as_response(result: Any, where: str) -> Response:
    """A Response itself; text, bytes, an async iterator of them, nothing, or anything JSON can hold."""
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(status_code=204)
    if isinstance(result, str):
        return Response(result, media_type="text/plain")
    if isinstance(result, bytes):
        return Response(result, media_type="application/octet-stream")
    if isinstance(result, AsyncIterator):
        return StreamingResponse(paced(result))
    try:
        return Response(encode_json(result), media_type="application/json")
    except (TypeError, ValueError, NotImplementedError, msgspec.MsgspecError) as error:
        raise InvalidResult(f"{where} returned something JSON can not hold: {error}.") from error
