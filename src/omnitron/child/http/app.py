"""Omnitron's own ASGI application: health, RPC, custom routes; CORS, trace and request id around them."""

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.requests import Request

from omnitron.base.clock import Clock
from omnitron.base.errors import MethodNotFound, ServiceNotFound
from omnitron.base.names import suggest
from omnitron.base.rand import Rand
from omnitron.child.http.exchange import EXCHANGE, Exchange
from omnitron.child.http.problems import Headers, Problem, problem_of
from omnitron.child.http.routes import Routes, as_response, not_allowed
from omnitron.child.http.rpc import Endpoint, Receive, Send, send_problem, unauthenticated
from omnitron.model.transports import Http
from omnitron.rpc.context import call_context, set_current_call

log = logging.getLogger("omnitron.http")
Scope = dict[str, Any]
_TRACE: Final = re.compile(rb"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")
_REQUEST_ID: Final = re.compile(rb"[\x21-\x7e]{1,128}")
_PREFLIGHT_S: Final = b"600"


class EdgeApp:
    """endpoints: by path. ready: whether `/readyz` says so."""

    def __init__(
        self,
        http: Http,
        endpoints: Mapping[str, Endpoint],
        routes: Routes,
        ready: Callable[[], bool],
        clock: Clock,
        rand: Rand,
        dev: bool,
    ) -> None:
        self._http, self._endpoints, self._routes = http, endpoints, routes
        self._ready, self._clock, self._rand, self._dev = ready, clock, rand, dev
        self._timeout_s = float(http.request_timeout)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope[EXCHANGE]
        exchange.task = asyncio.current_task()
        trace_in = request_id = origin = accept = b""
        for name, value in scope["headers"]:
            if name == b"traceparent":
                trace_in = value
            elif name == b"x-request-id":
                request_id = value
            elif name == b"origin":
                origin = value
            elif name == b"accept":
                accept = value
        trace = self._trace(trace_in)
        if not request_id or not _REQUEST_ID.fullmatch(request_id):
            request_id = trace[3:35].encode()
        headers: Headers = [(b"x-request-id", request_id), (b"traceparent", trace.encode())]
        if origin and self._http.cors:
            headers += self._cors(origin)
        set_current_call(call_context(trace=trace, deadline=self._clock.monotonic() + self._timeout_s))
        try:
            endpoint = self._endpoints.get(scope["path"])
            if endpoint is not None and scope["method"] == "POST":
                if not endpoint.contract.mark.anonymous:
                    raise unauthenticated(endpoint.contract)
                exchange.abandon = True
                await endpoint.answer(exchange, receive, send, headers, accept)
            else:
                await self._other(scope, receive, send, headers, exchange)
        except BaseException as error:
            await self._failed(error, exchange, scope, send, headers)

    async def _failed(
        self, error: BaseException, exchange: Exchange, scope: Scope, send: Send, headers: Headers
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            return  # the protocol has answered, nobody is there any more, or the stream has to move on
        problem, more = problem_of(error, dev=self._dev)
        if problem.status >= 500 and not isinstance(error, Problem):
            log.error("%s %s failed: %s", scope["method"], scope["path"], error, exc_info=error)
        if exchange.begun or not isinstance(error, Exception):
            raise error
        await send_problem(send, problem, more, headers)

    # -- what is no call

    async def _other(self, scope: Scope, receive: Receive, send: Send, headers: Headers, exchange: Exchange) -> None:
        method, path = scope["method"], scope["path"]
        if path in ("/healthz", "/readyz"):
            return await self._health(path, send, headers)
        if method == "OPTIONS":
            return await self._options(scope, send, headers)
        found = self._routes.find(method, path)
        if found is None:
            raise self._nothing(path)
        route, params = found
        scope["path_params"] = params
        result = await route.handler(Request(scope, receive, send))
        response = as_response(result, f"{method} {route.pattern}")
        response.raw_headers.extend((n, v) for n, v in headers if not any(n == own for own, _ in response.raw_headers))
        exchange.streaming = not any(name == b"content-length" for name, _ in response.raw_headers)
        exchange.abandon = exchange.streaming
        await response(scope, receive, send)

    async def _health(self, path: str, send: Send, headers: Headers) -> None:
        ready = path == "/healthz" or self._ready()
        if not ready:
            raise Problem(503, "not_ready", "This replica is not ready.", headers=[(b"retry-after", b"1")])
        body = b'{"status":"ok"}'
        own = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": [*own, *headers]})
        await send({"type": "http.response.body", "body": body})

    def _nothing(self, path: str) -> Exception:
        if path in self._endpoints:
            return not_allowed(path, ["POST"])
        parts = path.split("/")
        if len(parts) == 4 and parts[1] == "rpc":
            service, method = parts[2], parts[3]
            known = [p.split("/")[3] for p in self._endpoints if p.startswith(f"/rpc/{service}/")]
            if known:
                return MethodNotFound(f"{service} has no method {method!r}.{suggest(method, known)}")
            services = {p.split("/")[2] for p in self._endpoints}
            return ServiceNotFound(f"There is no service {service!r} here.{suggest(service, services)}")
        return Problem(404, "not_found", f"Nothing answers at {path}.")

    async def _options(self, scope: Scope, send: Send, headers: Headers) -> None:
        """A preflight if CORS is on, else what methods there are."""
        own = [(b"allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")]
        if any(name == b"access-control-allow-origin" for name, _ in headers):
            asked = dict(scope["headers"])
            own += [
                (b"access-control-allow-methods", asked.get(b"access-control-request-method", b"*")),
                (b"access-control-allow-headers", asked.get(b"access-control-request-headers", b"*")),
                (b"access-control-max-age", _PREFLIGHT_S),
            ]
        await send({"type": "http.response.start", "status": 204, "headers": [*own, *headers]})
        await send({"type": "http.response.body", "body": b""})

    def _cors(self, origin: bytes) -> Headers:
        if self._http.cors is True:
            return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", b"*")]
        allowed = self._http.cors if isinstance(self._http.cors, tuple) else ()
        vary = (b"vary", b"Origin")
        return [(b"access-control-allow-origin", origin), vary] if origin.decode("latin-1") in allowed else [vary]

    def _trace(self, given: bytes) -> str:
        """A span of ours in the trace we were given, or in a new one (W3C trace context)."""
        if given and (match := _TRACE.fullmatch(given)) is not None:
            return f"00-{match[1].decode()}-{self._rand.token(8)}-{match[2].decode()}"
        digits = self._rand.token(24)
        return f"00-{digits[:32]}-{digits[32:]}-01"
