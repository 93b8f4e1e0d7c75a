"""`StreamConsumer`: one member of a consumer group, as an async iterator of batches.

Its name is the replica's (app/process/slot), so whoever takes over the slot finds what its predecessor left. Where the
next batch comes from, first that has something:

    what this name was given and never acknowledged      at start and after each lost connection
    what members silent for `DEAD_AFTER_S` left behind   looked for every RECLAIM_EVERY_S
    what nobody has been given yet                       read together with the acknowledgement of the last batch

An entry whose consumers died of it `SUSPECT_AFTER` times is given alone, so that it takes no others along, and after
MAX_DELIVERIES it goes to the dead letters. A living member's entries are never taken, however long it works on them.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, Self, TypeVar

import msgspec

from omnitron.base.clock import Clock
from omnitron.base.rand import Rand
from omnitron.kits.streams.batch import Batch
from omnitron.kits.streams.connection import Connection, StreamError, StreamUnavailable, backoff, check, pack
from omnitron.kits.streams.stream import Stream

T = TypeVar("T")
log = logging.getLogger("omnitron.streams")

BLOCK_S: Final = 0.5  # a stop takes at most so long while nothing comes
DEAD_AFTER_S: Final = 10.0
RECLAIM_EVERY_S: Final = 2.0
SUSPECT_AFTER: Final = 2  # deliveries
MAX_DELIVERIES: Final = 5
MAX_DEAD_LETTERS: Final = 10_000  # entries the dead letter stream keeps
LINGER_SLICES: Final = 4

Entry = tuple[bytes, list[bytes]]


class StreamConsumer(Generic[T]):
    """Made by `Streams.consumer`. `async for batch in consumer: ...; await batch.ack()`."""

    def __init__(
        self,
        stream: Stream[T],
        group: str,
        name: str,
        connect: Callable[[], Awaitable[Connection]],
        clock: Clock,
        rand: Rand,
        metrics: dict[str, float],
        *,
        batch: int = 1000,
        max_wait_s: float = 0.0,
        start: str = "0",
        dead_after_s: float = DEAD_AFTER_S,
        max_deliveries: int = MAX_DELIVERIES,
    ) -> None:
        self.stream, self.group, self.name = stream, group, name
        self._connect_new, self._clock, self._rand, self._metrics = connect, clock, rand, metrics
        self._size, self._max_wait_s, self._start = batch, max_wait_s, start
        self._dead_after_ms, self._max_deliveries = int(dead_after_s * 1000), max_deliveries
        self._decode = msgspec.msgpack.Decoder(stream.type).decode
        self._connection: Connection | None = None
        self._done: list[bytes] = []  # acknowledged by the app, not yet told to Redis
        self._orphans_of = name.encode()  # whose pending entries are being recovered; b"" is nobody's
        self._cursor = b"-"
        self._next_reclaim = 0.0
        self._stopping = False
        self.closed = False
        self.asked_at = clock.monotonic()  # when it last asked for a batch: it lives

    def __repr__(self) -> str:
        return f"<StreamConsumer {self.name} of {self.group} on {self.stream.name}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Batch[T]:
        attempt = 0
        while not self._stopping:
            try:
                if (batch := await self._next()) is not None:
                    return batch
                attempt = 0
            except (StreamUnavailable, ConnectionError) as error:
                attempt += 1
                if attempt == 1:
                    log.warning("stream %s, group %s: %s Connecting again.", self.stream.name, self.group, error)
                self._disconnect()
                await self._clock.sleep(backoff(attempt, self._rand))
        await self.close()
        raise StopAsyncIteration

    def stop(self) -> None:
        """End the iteration after the batch in hand; what nobody was given stays for the others."""
        self._stopping = True

    def redeliver(self) -> None:
        """Give next, once more, what was given before and not acknowledged."""
        self._orphans_of, self._cursor = self.name.encode(), b"-"

    async def close(self) -> None:
        """Tell Redis what is done, and disconnect."""
        self._stopping = True
        try:
            if self._done:
                connection = await self._connected()
                await connection.call("XACK", self.stream.name, self.group, *self._done)
                self._done = []
        except (StreamUnavailable, ConnectionError) as error:
            log.warning("stream %s: %d done entries will come again: %s", self.stream.name, len(self._done), error)
        self._disconnect()
        self.closed = True

    def settle(self, ids: list[bytes]) -> None:
        self._done += ids

    async def bury(self, ids: list[bytes], reason: str) -> None:
        """Move the entries to the dead letters, in one transaction with their acknowledgement."""
        connection = await self._connected()
        for entry_id in ids:
            found = await connection.call("XRANGE", self.stream.name, entry_id, entry_id)
            payload = found[0][1][1] if found else b""
            note = ("id", entry_id, "group", self.group, "consumer", self.name, "reason", reason[:1000], "d", payload)
            put = ("XADD", self.stream.dead_letters, "MAXLEN", "~", str(MAX_DEAD_LETTERS), "*", *note)
            ack = ("XACK", self.stream.name, self.group, entry_id)
            data = b"".join((pack("MULTI"), pack(*put), pack(*ack), pack("EXEC")))
            for reply in await connection.request(data, 4):
                check(reply)
        self._count("dead", len(ids))
        log.error("stream %s, group %s: %d dead letters: %s", self.stream.name, self.group, len(ids), reason)

    def _count(self, what: str, by: int) -> None:
        key = f"stream.{self.stream.name}.{self.group}.{what}"
        self._metrics[key] = self._metrics.get(key, 0) + by

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.closed:
            self._connection = await self._connect_new()
            group = await self._connection.request(
                pack("XGROUP", "CREATE", self.stream.name, self.group, self._start, "MKSTREAM"), 1
            )
            if not str(group[0]).startswith("BUSYGROUP"):
                check(group[0])
            self.redeliver()
        return self._connection

    async def _next(self) -> Batch[T] | None:
        self.asked_at = self._clock.monotonic()
        connection = await self._connected()
        if not self._orphans_of and self._clock.monotonic() >= self._next_reclaim:
            self._next_reclaim = self._clock.monotonic() + RECLAIM_EVERY_S
            self._orphans_of, self._cursor = await self._a_dead_member(connection), b"-"
        entries = await (self._recovered(connection) if self._orphans_of else self._new(connection))
        return await self._decoded(entries) if entries else None

    async def _new(self, connection: Connection) -> list[Entry]:
        entries = await self._read(connection, self._size, BLOCK_S)
        if not entries or self._max_wait_s <= 0:
            return entries
        until = self._clock.monotonic() + self._max_wait_s
        while len(entries) < self._size and not self._stopping and (left := until - self._clock.monotonic()) > 0:
            await self._clock.sleep(min(left, self._max_wait_s / LINGER_SLICES))
            entries += await self._read(connection, self._size - len(entries), None)
        return entries

    async def _read(self, connection: Connection, count: int, block_s: float | None) -> list[Entry]:
        """Acknowledge what is done and read new entries, in one trip."""
        block = () if block_s is None else ("BLOCK", int(block_s * 1000))
        where = ("STREAMS", self.stream.name, ">")
        data = pack("XREADGROUP", "GROUP", self.group, self.name, "COUNT", count, *block, *where)
        done = self._done
        if done:
            data = pack("XACK", self.stream.name, self.group, *done) + data
        replies = await connection.request(data, 2 if done else 1, timeout=10.0 + (block_s or 0))
        if done:
            check(replies[0])
            del done[: len(done)]
        try:
            found = check(replies[-1])
        except StreamError as error:
            if "NOGROUP" in error.message:  # somebody emptied this Redis: the next connection makes the group again
                raise StreamUnavailable(error.message) from None
            raise
        return found[0][1] if found else []

    async def _a_dead_member(self, connection: Connection) -> bytes:
        rows = await connection.call("XINFO", "CONSUMERS", self.stream.name, self.group)
        members = [dict(zip(row[::2], row[1::2], strict=True)) for row in rows]
        for member in members:
            name, idle = bytes(member[b"name"]), int(member[b"idle"])
            if name != self.name.encode() and member[b"pending"] and idle >= self._dead_after_ms:
                log.warning("stream %s: taking over what %s left behind", self.stream.name, name.decode())
                return name
        return b""

    async def _recovered(self, connection: Connection) -> list[Entry]:
        """The next entries left behind by `_orphans_of`, now this consumer's; empty when there are no more."""
        mine = self._orphans_of == self.name.encode()
        if self._done:
            await connection.call("XACK", self.stream.name, self.group, *self._done)
            self._done = []
        rows = await connection.call(
            "XPENDING", self.stream.name, self.group, self._cursor, "+", self._size, self._orphans_of
        )
        if not rows:
            self._orphans_of = b""
            return []
        worn = [row[0] for row in rows if row[3] >= self._max_deliveries]
        if worn:
            await self._claim(connection, worn, mine)
            await self.bury(worn, f"delivered {self._max_deliveries} times, and each time its consumer died")
            return []
        ids = [rows[0][0]] if rows[0][3] >= SUSPECT_AFTER else [row[0] for row in rows if row[3] < SUSPECT_AFTER]
        self._cursor = b"(" + ids[-1]
        return await self._claim(connection, ids, mine)

    async def _claim(self, connection: Connection, ids: list[bytes], mine: bool) -> list[Entry]:
        idle = 0 if mine else self._dead_after_ms
        entries: list[Entry] = await connection.call("XCLAIM", self.stream.name, self.group, self.name, idle, *ids)
        entries = [entry for entry in entries if entry and entry[1]]
        if mine and (gone := set(ids) - {entry[0] for entry in entries}):
            await connection.call("XACK", self.stream.name, self.group, *gone)
            self._count("trimmed_unread", len(gone))
            log.error("stream %s: %d entries were trimmed before they were done", self.stream.name, len(gone))
        return entries

    async def _decoded(self, entries: list[Entry]) -> Batch[T] | None:
        decode: Callable[[Any], T] = self._decode
        try:
            return Batch([decode(fields[1]) for _, fields in entries], [entry_id for entry_id, _ in entries], self)
        except (msgspec.DecodeError, UnicodeDecodeError, IndexError):
            pass_on: list[T] = []
            ids: list[bytes] = []
            for entry_id, fields in entries:
                try:
                    pass_on.append(decode(fields[1]))
                    ids.append(entry_id)
                except (msgspec.DecodeError, UnicodeDecodeError, IndexError) as error:
                    await self.bury([entry_id], f"not a {self.stream.type.__name__}: {error}")
            return Batch(pass_on, ids, self) if ids else None
