import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "child"))
from child_keeping import Replica, listen

from omnitron.model.process import Process
from omnitron.model.transports import Http, Transports

MODULE = """
import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from omnitron import service, rpc, route, provide, Overloaded, current_call
from starlette.requests import Request
from starlette.responses import Response

class Prices:
    def __init__(self) -> None:
        self.of = {"BTC": Decimal("1.10")}

LIVE: list[str] = []

@service("market@1.0.0")
class Market:
    def __init__(self, prices: Prices) -> None:
        self.prices = prices

    @rpc(anonymous=True)
    async def price(self, symbol: str, digits: int = 2) -> Decimal:
        return self.prices.of[symbol]

    @rpc
    async def secret(self) -> int:
        return 1

    @rpc(anonymous=True)
    def pid(self) -> int:
        import os
        return os.getpid()

    @rpc(anonymous=True)
    async def slow(self, seconds: float) -> str:
        LIVE.append("slow")
        try:
            await asyncio.sleep(seconds)
        finally:
            LIVE.remove("slow")
        return "done"

    @rpc(anonymous=True)
    async def live(self) -> int:
        return len(LIVE)

    @rpc(anonymous=True)
    async def busy(self) -> int:
        raise Overloaded("full", details={"retry_after_s": 3.0})

    @rpc(anonymous=True)
    async def trace(self) -> str:
        context = current_call()
        return context.trace or "" if context else ""

    @rpc(anonymous=True)
    async def ticks(self, n: int, size: int = 1) -> AsyncIterator[str]:
        LIVE.append("ticks")
        try:
            for i in range(n):
                self.made = i
                yield str(i % 10) * size
        finally:
            LIVE.remove("ticks")

    @rpc(anonymous=True)
    async def how_many_made(self) -> int:
        return self.made

    @rpc(anonymous=True)
    async def breaks(self) -> AsyncIterator[int]:
        yield 1
        raise ValueError("secret")

    @rpc(anonymous=True)
    async def upload(self, data: str) -> int:
        return len(data)

    @route("GET", "/symbols", public="market data is public")
    async def symbols(self, request: Request) -> dict[str, object]:
        return {"symbols": list(self.prices.of), "price": self.prices.of["BTC"]}

    @route("GET", "/symbols/{name}", public="market data is public")
    def symbol(self, request: Request) -> Response:
        return Response(request.path_params["name"].lower(), headers={"x-own": "1"})

    @route("GET", "/chunks", public="market data is public")
    async def chunks(self, request: Request) -> AsyncIterator[bytes]:
        for i in range(3):
            yield b"%d" % i

    @route("GET", "/fails", public="to see")
    async def fails(self, request: Request) -> Response:
        raise RuntimeError("password=1")

async def custom(request: Request, prices: Prices) -> str:
    return request.path_params["path"] + str(len(prices.of))
"""


class Edge:
    def __init__(self, replica: Replica, sock: socket.socket) -> None:
        self.replica, self.sock = replica, sock
        self.port: int = sock.getsockname()[1]
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=20, trust_env=False)


Serve = Callable[..., Awaitable[Edge]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """A replica of MODULE with these options of `Http`, ready."""
    edges: list[Edge] = []

    async def start(code: str = MODULE, *, sock: socket.socket | None = None, process: Any = None, **http: Any) -> Edge:
        (tmp_path / "app.py").write_text(code)
        kind = {"module": "app"} if process is None else process
        sock = sock or listen()
        made = Process(name="http", transports=Transports(http=Http(port=0, **http)), **kind)
        edges.append(Edge(Replica(tmp_path, made, http=sock), sock))
        await edges[-1].replica.until("ready", "failed")
        return edges[-1]

    yield start
    for edge in edges:
        await edge.client.aclose()
        await edge.replica.close()
        edge.sock.close()
