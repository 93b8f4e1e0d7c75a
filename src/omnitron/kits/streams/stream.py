"""`Stream`: the declaration producers and consumers share. A bound is part of it: a stream never grows for ever."""

import re
from collections.abc import Callable
from typing import Final, Generic, TypeVar

import msgspec

from omnitron.base.errors import DefinitionError
from omnitron.base.units import Duration, seconds

T = TypeVar("T")
_NAME: Final = re.compile(r"[a-z][a-z0-9]*(?:[-_.:][a-z0-9]+)*")


class StreamMark(msgspec.Struct, frozen=True):
    """What `describe` reads of a stream. max_age in seconds."""

    name: str
    max_len: int | None
    max_age: float | None


class Stream(Generic[T]):
    """A Redis stream `name` of items of `type` (anything msgspec encodes), declared at module level.

    max_len: items kept, approximately (Redis trims in whole nodes of 100 or so). max_age: how long they are kept.
    durable: the producer keeps what it sent until it is on Redis's disk (`WAITAOF`), and sends it again if Redis dies
    before; `flush` waits for the disk. Without it, a kill of Redis may lose what was acknowledged in the last second.
    dedup_key: identifies an item: a producer that sends again after a lost connection leaves out what had arrived.
    Raises DefinitionError if there is no bound, or one that holds nothing.
    """

    def __init__(
        self,
        name: str,
        *,
        type: type[T],
        max_len: int | None = None,
        max_age: Duration | None = None,
        durable: bool = False,
        dedup_key: Callable[[T], str] | None = None,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise DefinitionError(
                f"The stream name {name!r} can not be used.", remedy='Use words in lower case, as in "market-ticks".'
            )
        if max_len is None and max_age is None:
            raise DefinitionError(
                f"The stream {name!r} has no bound: while its consumers are away, it fills the memory of Redis.",
                remedy=f'Add max_len=1_000_000 (items) or max_age="24h" to Stream({name!r}, ...).',
            )
        age = None if max_age is None else seconds(max_age, what="max_age")
        if (max_len is not None and max_len < 1) or age == 0:
            raise DefinitionError(
                f"The stream {name!r} would keep nothing.", remedy="Give max_len or max_age more room."
            )
        self.name = name
        self.type = type
        self.max_len = max_len
        self.max_age = age
        self.durable = durable
        self.dedup_key = dedup_key
        self.__omnitron_stream__ = StreamMark(name, max_len, age)

    def __repr__(self) -> str:
        bound = f"max_len={self.max_len}" if self.max_len is not None else f"max_age={self.max_age}s"
        return f"<Stream {self.name} of {self.type.__name__} {bound}>"

    @property
    def dead_letters(self) -> str:
        """The stream that takes what could not be processed."""
        return f"{self.name}:dead"
