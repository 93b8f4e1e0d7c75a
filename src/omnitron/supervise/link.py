"""The keeper's connection to one incarnation: what the replica reports, and what it is told.

It is dialled as soon as the socket listens, long before the replica runs: the kernel queues the connection, and the
first report arrives the moment the child's event loop turns. The link says nothing of death; that is the reaper's word.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from omnitron.base.errors import OmnitronError
from omnitron.base.tasks import TaskSet
from omnitron.control.keeper import ServiceEndpoints
from omnitron.control.replica import ReplicaApi, ReplicaReport, ReplicaStats
from omnitron.rpc.client import connect
from omnitron.supervise.news import News

log = logging.getLogger("omnitron.link")

HELLO_TIMEOUT_S: Final = 3600.0  # the replica's own startup_timeout ends a wait that is too long
TELL_TIMEOUT_S: Final = 5.0  # for a replica to take a directory or a notice; the next one brings the whole again
AGAIN_S: Final = 0.2  # between two attempts to connect
DRAIN_MARGIN_S: Final = 5.0  # beyond the drain's own timeout

Reported = Callable[[ReplicaReport], None]


class ReplicaLink:
    """One per incarnation; reconnects until it is closed."""

    def __init__(self, path: Path, who: str, tasks: TaskSet, reported: Reported) -> None:
        self._path = path
        self._who = who
        self._tasks = tasks
        self._reported = reported
        self._api: ReplicaApi | None = None
        self._connected = News()
        self._wanted: list[ServiceEndpoints] = []
        self._told: list[ServiceEndpoints] | None = None
        self._telling = False
        self._task = tasks.start(self._live(), f"link {path.name}")

    @property
    def connected(self) -> bool:
        return self._api is not None

    def close(self) -> None:
        self._task.cancel()

    async def _live(self) -> None:
        while True:
            try:
                api, link = await connect(
                    str(self._path),
                    ReplicaApi,  # type: ignore[type-abstract]
                    who=self._who,
                    timeout_s=HELLO_TIMEOUT_S,
                )
            except (OSError, OmnitronError) as error:
                log.debug("no connection to %s: %s", self._path.name, error)
                await asyncio.sleep(AGAIN_S)
                continue
            try:
                self._api, self._told = api, None
                self._connected.tell()
                self._tell()
                async for report in api.watch():
                    self._reported(report)
            except OmnitronError as error:
                log.debug("the reports of %s ended: %s", self._path.name, error)
            finally:
                self._api = None
                link.finish()
            await asyncio.sleep(AGAIN_S)

    async def ping(self, timeout: float) -> ReplicaStats:
        """Raises TimeoutError if the event loop does not answer, OmnitronError if it answers badly."""
        async with asyncio.timeout(timeout):
            return await (await self._when_connected()).ping()

    async def drain(self, timeout: float) -> None:
        """Returns when the replica has drained, could not, or is gone: what follows is SIGTERM in any case."""
        try:
            async with asyncio.timeout(timeout + DRAIN_MARGIN_S):
                await (await self._when_connected()).drain(timeout)
        except (OmnitronError, TimeoutError) as error:
            log.debug("the drain of %s ended: %s", self._path.name, error)

    def directory(self, services: list[ServiceEndpoints]) -> None:
        """The replica shall know these; sent at once, and again after a reconnection."""
        if services != self._wanted or self._told is None:
            self._wanted = services
            self._tell()

    def gone(self, replica: str, incarnation: int, reason: str) -> None:
        if self._api is not None:
            self._tasks.start(self._notice(self._api, replica, incarnation, reason), "gone")

    async def _when_connected(self) -> ReplicaApi:
        while self._api is None:
            await asyncio.shield(self._connected.next())
        return self._api

    def _tell(self) -> None:
        if self._api is not None and not self._telling:
            self._telling = True
            self._tasks.start(self._send_directory(), "directory")

    async def _send_directory(self) -> None:
        """The latest wins: what changes while one is being sent follows after it."""
        try:
            while self._api is not None and self._told != self._wanted:
                sending = self._wanted
                async with asyncio.timeout(TELL_TIMEOUT_S):
                    await self._api.directory(sending)
                self._told = sending
        except (OmnitronError, TimeoutError) as error:
            log.debug("%s was not told the directory: %s", self._path.name, error)
        finally:
            self._telling = False

    async def _notice(self, api: ReplicaApi, replica: str, incarnation: int, reason: str) -> None:
        try:
            async with asyncio.timeout(TELL_TIMEOUT_S):
                await api.gone(replica, incarnation, reason)
        except (OmnitronError, TimeoutError) as error:
            log.debug("%s was not told of %s: %s", self._path.name, replica, error)
