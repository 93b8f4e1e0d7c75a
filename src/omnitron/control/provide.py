"""How a kit gets into a replica: the contract between `child`, which provides, and `kits`, which are provided.

A class that has

    @classmethod
    async def __omnitron_provide__(cls, ctx: ProvideContext) -> AsyncIterator[Self]: ...   # an async generator

is injectable by its type. The child calls it once per replica when something first asks for the class, takes the one
value it yields, and resumes it when the replica stops, in reverse order of creation, after the drain of calls.

What runs by itself (scheduled jobs, stream consumers) is not asked for by anybody, so its marks name it: for each
attribute in RUNNERS that any public attribute of a service's class bears, the child imports that class
("module:name") and enters its `__omnitron_provide__` once, after all services are built and the start hooks have run
(`ctx.services` is complete then), and leaves it first of all when it drains: so that what is in hand is finished
while the services it uses still live. What runners log and raise on entry fails the boot like any start hook.
"""

from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, Self

from omnitron.base.clock import Clock
from omnitron.base.rand import Rand

PROVIDE: Final = "__omnitron_provide__"
RUNNERS: Final = {
    "__omnitron_schedules__": "omnitron.kits.schedule:Scheduler",
    "__omnitron_consumers__": "omnitron.kits.streams:ConsumerRunner",
}
"""Mark on a method -> the provider class that runs methods so marked."""


class ProvideContext(Protocol):
    """What a provider may know of the replica it is in.

    environ: the environment (DATABASE_URL, REDIS_URL ...). replica: app/process/slot. state_dir: a folder that all
    replicas of the app in this stack share and that outlives them. services: the service instances built so far, the
    same growing list each time. metrics: figures by name, shown by `omnitron status`; write to it freely.
    """

    @property
    def environ(self) -> Mapping[str, str]: ...
    @property
    def replica(self) -> str: ...
    @property
    def stack(self) -> str: ...
    @property
    def state_dir(self) -> Path: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def rand(self) -> Rand: ...
    @property
    def metrics(self) -> dict[str, float]: ...
    @property
    def services(self) -> Sequence[object]: ...

    def background(self, coro: Coroutine[Any, Any, Any], name: str) -> None:
        """Run it until it ends or the replica stops; a failure is logged."""


class Provided(Protocol):
    """A class that knows how to provide itself."""

    @classmethod
    def __omnitron_provide__(cls, ctx: ProvideContext) -> AsyncIterator[Self]: ...
