"""JSON over HTTP: Starlette on uvicorn, called with aiohttp."""

from collections.abc import Callable
from typing import Any

TITLE = "HTTP JSON, Starlette"
NEEDS = ("uvicorn", "starlette", "aiohttp")


def serve(port: int, ready: Callable[[], None]) -> None:
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def echo(request: Request) -> JSONResponse:
        return JSONResponse(await request.json())

    app = Starlette(routes=[Route("/echo", echo, methods=["POST"])])
    ready()
    uvicorn.run(app, host="127.0.0.1", port=port, http="httptools", log_level="error", access_log=False)


class Client:
    def __init__(self, port: int) -> None:
        import aiohttp

        self._url = f"http://127.0.0.1:{port}/echo"
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def call(self, value: dict[str, Any]) -> Any:
        async with self._session.post(self._url, json=value) as answer:
            return await answer.json()

    async def close(self) -> None:
        await self._session.close()
