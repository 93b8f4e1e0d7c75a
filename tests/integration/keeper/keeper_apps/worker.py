"""A service to be supervised: says who it is, dies and blocks on demand."""

import asyncio
import os
import time
from collections.abc import AsyncIterator

from omnitron.declare.rpc import rpc
from omnitron.declare.service import service

BALLAST = [os.urandom(1024) for _ in range(20_000)]  # 20 MiB that replicas of a template share


@service("worker@1.0.0")
class Worker:
    @rpc(idempotent=True)
    async def pid(self) -> int:
        return os.getpid()

    @rpc(idempotent=True)
    async def slow_pid(self, seconds: float) -> int:
        await asyncio.sleep(seconds)
        return os.getpid()

    @rpc
    async def crash(self) -> None:
        os.kill(os.getpid(), 9)

    @rpc
    async def block(self, seconds: float) -> None:
        time.sleep(seconds)  # noqa: ASYNC251 - what the liveness probe is for

    @rpc
    async def count(self) -> AsyncIterator[int]:
        for number in range(1_000_000):
            yield number
            await asyncio.sleep(0.01)
