"""What the tests of this folder share beside fixtures."""

import asyncio
from collections.abc import Awaitable, Callable

from omnitron.rpc.endpoints import Endpoint, ServiceRecord


async def eventually(fact: Callable[[], Awaitable[bool]], within_s: float = 20.0) -> None:
    """Poll until the fact holds."""
    end = asyncio.get_running_loop().time() + within_s
    while not await fact():
        assert asyncio.get_running_loop().time() < end, "it never came true"
        await asyncio.sleep(0.01)


def record(endpoints: list[Endpoint], version: str = "1.0.0") -> ServiceRecord:
    return ServiceRecord("test", "work", version, "Work", tuple(endpoints))
