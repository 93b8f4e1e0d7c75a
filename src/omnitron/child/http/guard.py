"""Around a user's ASGI application: lets the server see its requests, so that limits and the drain hold for it too."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from omnitron.child.http.exchange import EXCHANGE, Exchange

Application = Callable[[dict[str, Any], Callable[[], Any], Callable[[Any], Any]], Awaitable[None]]


class Guard:
    """The application itself is called with its own scope, receive and, but for a glance at the headers, send."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        exchange: Exchange = scope.pop(EXCHANGE)
        exchange.task = asyncio.current_task()

        def sending(message: dict[str, Any]) -> Any:
            if message["type"] == "http.response.start":
                exchange.streaming = not any(
                    name.lower() == b"content-length" for name, _ in message.get("headers", ())
                )
            return send(message)

        try:
            await self._app(scope, receive, sending)
        except asyncio.CancelledError:
            if not exchange.expired:  # else the protocol has answered in our place
                raise
