"""What a replica is to the kits in it, and what it learns from its keeper of others."""

import asyncio
import os
from collections import OrderedDict
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from omnitron.base.clock import Clock, SystemClock
from omnitron.base.rand import Rand, SystemRand
from omnitron.base.tasks import TaskSet
from omnitron.control.keeper import ServiceEndpoints
from omnitron.rpc.endpoints import Endpoint, ServiceRecord

MAX_OBITUARIES: Final = 256


@dataclass(slots=True)
class ReplicaContext:
    """The `ProvideContext` of control/provide.py."""

    replica: str
    stack: str
    state_dir: Path
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    clock: Clock = field(default_factory=SystemClock)
    rand: Rand = field(default_factory=SystemRand)
    metrics: dict[str, float] = field(default_factory=dict)
    services: list[object] = field(default_factory=list)
    tasks: TaskSet = field(default_factory=lambda: TaskSet("background"))

    def background(self, coro: Coroutine[Any, Any, Any], name: str) -> None:
        self.tasks.start(coro, name)


class Obituaries:
    """What replicas died of, by replica and incarnation; the newest MAX_OBITUARIES.

    A caller learns of a lost connection from the kernel, usually before the keeper has told us why: so it waits here.
    """

    def __init__(self) -> None:
        self._reasons: OrderedDict[tuple[str, int], str] = OrderedDict()
        self._news = asyncio.Event()

    def add(self, replica: str, incarnation: int, reason: str) -> None:
        self._reasons[replica, incarnation] = reason
        while len(self._reasons) > MAX_OBITUARIES:
            self._reasons.popitem(last=False)
        self._news.set()
        self._news = asyncio.Event()

    async def worker_gone(self, replica: str, incarnation: int) -> str:
        """What that one died of; waits until it is known, so the caller bounds it."""
        while (reason := self._reasons.get((replica, incarnation))) is None:
            await self._news.wait()
        return reason


def records(services: list[ServiceEndpoints]) -> list[ServiceRecord]:
    """The keeper's message as the RPC client's directory has it."""
    found = []
    for item in services:
        name, _, version = item.service.partition("@")
        endpoints = tuple(Endpoint(e.replica, e.path, e.incarnation, e.concurrency) for e in item.endpoints)
        found.append(ServiceRecord(item.app, name, version, item.class_name, endpoints))
    return found
