"""How many replicas, and when to replace them before they fail."""

from typing import Literal

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.model.fields import Bytes, Seconds, need_positive, normalise_bytes, normalise_seconds


class Scaling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Between the process's `instances` and `max_instances` replicas.

    target_cpu: percent of one core per replica. target_queue: waiting calls per replica.
    cooldown: seconds between two changes downwards; upwards it is a quarter of that.
    """

    strategy: Literal["manual", "auto"] = "manual"
    max_instances: int = 1
    target_cpu: float = 70.0
    target_queue: float = 4.0
    cooldown: Seconds = 60.0

    def __post_init__(self) -> None:
        normalise_seconds(self, "cooldown")
        need_positive(self, "target_cpu", "target_queue")
        if self.max_instances < 1:
            raise DefinitionError(f"Scaling.max_instances is {self.max_instances}.", remedy="It must be at least 1.")


class Recycle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Replace a replica, as in a rolling reload, when it reaches one of these. None: never.

    memory: resident bytes. age: seconds since it was ready. calls: calls answered.
    """

    memory: Bytes | None = None
    age: Seconds | None = None
    calls: int | None = None

    def __post_init__(self) -> None:
        normalise_bytes(self, "memory")
        normalise_seconds(self, "age")
        need_positive(self, "memory", "age", "calls")


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits of one replica. None: what the system gives.

    memory: address space in bytes (RLIMIT_AS). open_files: descriptors (RLIMIT_NOFILE). cpu_seconds: RLIMIT_CPU.
    concurrency: calls running at once; queue: calls waiting; beyond both a call is refused at once (Overloaded).
    """

    memory: Bytes | None = None
    open_files: int | None = None
    cpu_seconds: int | None = None
    concurrency: int = 64
    queue: int = 256

    def __post_init__(self) -> None:
        normalise_bytes(self, "memory")
        need_positive(self, "memory", "open_files", "cpu_seconds")
        if self.concurrency < 1 or self.queue < 0:
            raise DefinitionError(
                f"Limits(concurrency={self.concurrency}, queue={self.queue}) lets no call in.",
                remedy="concurrency must be at least 1, queue at least 0.",
            )
