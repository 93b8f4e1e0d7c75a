"""What a consumer is given: some items of a stream, together acknowledged."""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")


class Settler(Protocol):
    """Whom a batch tells what became of its entries."""

    def settle(self, ids: list[bytes]) -> None: ...
    async def bury(self, ids: list[bytes], reason: str) -> None: ...


class Batch(Generic[T]):
    """Items in the order of the stream, at least one. Iterable; `ids[i]` is the entry id of `items[i]`.

    Ids grow within a stream ("1764000000123-0": milliseconds and a counter), so an app that has a stream to itself can
    store `last_id` in the transaction that writes the effects, and skip what is not above it when delivered again.
    """

    __slots__ = ("_ids", "_settler", "items")

    def __init__(self, items: list[T], ids: list[bytes], settler: Settler) -> None:
        self.items = items
        self._ids = ids
        self._settler = settler

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __repr__(self) -> str:
        return f"<Batch of {len(self.items)} from {self.first_id} to {self.last_id}>"

    @property
    def ids(self) -> list[str]:
        return [i.decode() for i in self._ids]

    @property
    def first_id(self) -> str:
        return self._ids[0].decode()

    @property
    def last_id(self) -> str:
        return self._ids[-1].decode()

    async def ack(self) -> None:
        """These are done. Redis is told with the next read or on stop: after a kill before that they come again."""
        self._settler.settle(self._ids)

    async def dead_letter(self, reason: str) -> None:
        """Give these up: moved to the stream `<name>:dead` with the reason, and counted."""
        await self._settler.bury(self._ids, reason)

    def halves(self) -> "tuple[Batch[T], Batch[T]]":
        """To find the item that spoils a batch. Needs two items or more."""
        middle = len(self.items) // 2
        return (
            Batch(self.items[:middle], self._ids[:middle], self._settler),
            Batch(self.items[middle:], self._ids[middle:], self._settler),
        )
