"""The service a keeper talks to: `ReplicaApi`."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final, Protocol

from omnitron.child.board import Board
from omnitron.child.context import Obituaries, ReplicaContext, records
from omnitron.control.keeper import ServiceEndpoints
from omnitron.control.replica import ReplicaApi, ReplicaReport, ReplicaStats
from omnitron.rpc.contract import contract_of
from omnitron.rpc.endpoints import Directory
from omnitron.rpc.server import RpcServer

CONTRACT: Final = contract_of(ReplicaApi)


class Controlled(Protocol):
    """What it needs of the replica. http: a `HttpServer` or None."""

    board: Board
    rpc: RpcServer
    directory: Directory
    obituaries: Obituaries
    context: ReplicaContext
    http: Any

    @property
    def ready(self) -> bool: ...
    def stop(self, timeout_s: float | None = None) -> None: ...


class Control:
    def __init__(self, replica: Controlled) -> None:
        self._replica = replica
        self._cut: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting = 0
        self._answered = asyncio.Event()

    def watch(self) -> AsyncIterator[ReplicaReport]:
        return self._replica.board.watch()

    async def ping(self) -> ReplicaStats:
        """loop_lag: seconds that one turn of the event loop takes now."""
        loop, replica = asyncio.get_running_loop(), self._replica
        begun = loop.time()
        await asyncio.sleep(0)
        lag, stats, http = loop.time() - begun, replica.rpc.stats, replica.http
        return ReplicaStats(
            in_flight=stats.in_flight + stats.streams,
            queued=stats.queued,
            calls=stats.finished,
            failed=stats.failed,
            http_in_flight=http.in_flight if http is not None else 0,
            http_requests=http.requests if http is not None else 0,
            loop_lag=lag,
            ready=replica.ready,
            metrics=dict(replica.context.metrics),
        )

    async def directory(self, services: list[ServiceEndpoints]) -> None:
        self._replica.directory.update(records(services))

    async def gone(self, replica: str, incarnation: int, reason: str) -> None:
        self._replica.obituaries.add(replica, incarnation, reason)

    async def drain(self, timeout: float) -> int:
        self._waiting += 1
        try:
            self._replica.stop(timeout)
            return await asyncio.shield(self._cut)
        finally:
            self._waiting -= 1
            self._answered.set()

    async def drained(self, cut: int) -> None:
        """Answer those who asked for the drain."""
        self._cut.set_result(cut)
        while self._waiting:
            self._answered.clear()
            await self._answered.wait()
