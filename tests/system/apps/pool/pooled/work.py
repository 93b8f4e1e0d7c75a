"""The pool: a method that may run twice, one that may not, and a stream."""

import asyncio
import os
from collections.abc import AsyncIterator

from omnitron import rpc, service

VERSION = "one"
TAKES_S = 0.01  # long enough for a kill to find a call running


@service("work@1.0.0")
class Work:
    def __init__(self) -> None:
        self._runs = os.open(os.environ["POOLED_RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    @rpc(idempotent=True)
    async def again(self, number: int) -> dict[str, int | str]:
        await asyncio.sleep(TAKES_S)
        return {"number": number, "worker": os.getpid(), "version": VERSION}

    @rpc
    async def once(self, number: int) -> dict[str, int | str]:
        """Writes down that it ran, before anything else."""
        os.write(self._runs, f"{number}\n".encode())
        await asyncio.sleep(TAKES_S)
        return {"number": number, "worker": os.getpid(), "version": VERSION}

    @rpc
    async def count(self, start: int) -> AsyncIterator[int]:
        """start, start + 1 ... without an end."""
        while True:
            yield start
            start += 1
            await asyncio.sleep(TAKES_S)
