"""A blocking client behind an awaitable call: one connection for each of as many threads as calls are in flight."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.peers.driver import IN_FLIGHT


class ThreadedClient:
    """connect: makes a connection, as a function that calls."""

    def __init__(self, connect: Callable[[], Callable[[Any], Any]]) -> None:
        self._connect, self._local = connect, threading.local()
        self._threads = ThreadPoolExecutor(IN_FLIGHT)

    async def call(self, value: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._call, value)

    def _call(self, value: Any) -> Any:
        if not hasattr(self._local, "call"):
            self._local.call = self._connect()
        return self._local.call(value)

    async def close(self) -> None:
        self._threads.shutdown()
