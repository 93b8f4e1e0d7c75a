"""Wires the HTTP edge of a replica; imported only by a replica that has one, since uvicorn takes a while to import."""

import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any

from starlette.requests import Request

from omnitron.base.clock import Clock
from omnitron.base.errors import DefinitionError
from omnitron.base.rand import Rand
from omnitron.child.assembly import Assembly, RouteTarget
from omnitron.child.container import Container
from omnitron.child.http.app import EdgeApp
from omnitron.child.http.guard import Guard
from omnitron.child.http.routes import Routes
from omnitron.child.http.rpc import Endpoint
from omnitron.child.http.server import HttpServer, configure
from omnitron.model.transports import Http
from omnitron.rpc.server import RpcServer


def build_edge(
    http: Http, sock: socket.socket, rpc: RpcServer, assembly: Assembly, container: Container,
    *, ready: Callable[[], bool], clock: Clock, rand: Rand, dev: bool,
) -> HttpServer:  # fmt: skip
    """The server of a `module` process, for what `rpc` serves by now."""
    for route in assembly.routes:
        if route.public is None:
            raise DefinitionError(
                f"The route {route.method} {route.pattern} ({route.target.ref}) does not say why everybody may enter.",
                remedy='Say it with public="reason": there is no authentication of routes yet.',
            )
    endpoints = {}
    for served in rpc.methods:
        if not served.system:
            contract = served.contract
            endpoint = Endpoint(served, rpc.threads, dev=dev)
            endpoints[f"/rpc/{contract.service}@{contract.version}/{contract.name}"] = endpoint
            endpoints[f"/rpc/{contract.service}/{contract.name}"] = endpoint
    routes = Routes(assembly.routes, lambda target: _handler(target, container, rpc.threads))
    return HttpServer(EdgeApp(http, endpoints, routes, ready, clock, rand, dev), http, sock, ours=True)


def warm() -> None:
    """Let uvicorn import what it imports only when it is first configured."""
    configure(_nothing, Http(port=0), ours=True).load()


async def _nothing(scope: Any, receive: Any, send: Any) -> None:
    """An application."""


def build_asgi(app: Any, http: Http, sock: socket.socket) -> HttpServer:
    """The server of an `asgi` process."""
    return HttpServer(Guard(app), http, sock, ours=False)


def _handler(
    route: RouteTarget, container: Container, threads: Callable[[], Executor]
) -> Callable[[Request], Awaitable[Any]]:
    """A plain function runs in a thread, as a plain `@rpc` method does."""
    target = route.target
    bound = () if target.owner is None else (container[target.owner],)

    async def handle(request: Request) -> Any:
        return await container.call(target.function, *bound, request, threads=threads())

    return handle
