"""`StreamProducer`: what is sent in one turn of the event loop goes out in one write, and again until it has arrived.

The surprise: a durable stream uses a second connection. `WAITAOF` blocks the connection it is called on until the disk
has everything that connection wrote; on the first one it would hold back the following items for up to a second. So the
first writes at once, and the second, whose own small write comes after those, waits for the disk on their behalf. Items
are kept until then: if Redis dies and comes back without them, they are sent again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Generic, TypeVar

import msgspec

from omnitron.base.clock import Clock
from omnitron.base.errors import OmnitronError, OperationError
from omnitron.base.rand import Rand
from omnitron.base.tasks import TaskSet
from omnitron.kits.streams.connection import Connection, StreamError, StreamUnavailable, backoff, check, pack
from omnitron.kits.streams.outbox import DEFAULT_BUFFER, MAX_BATCH, Chunk, Outbox
from omnitron.kits.streams.stream import Stream

T = TypeVar("T")
log = logging.getLogger("omnitron.streams")

DEDUP_WINDOW: Final = 100_000  # newest entries looked through for what arrived before a connection was lost
DEDUP_PAGE: Final = 1_000
CONFIRM_TIMEOUT_S: Final = 5.0
TRIM_EVERY: Final = 1_000  # items


class StreamProducer(Generic[T]):
    """Puts items into one stream, at least once and in order. Made by `Streams.producer`."""

    def __init__(
        self,
        stream: Stream[T],
        connect: Callable[[], Awaitable[Connection]],
        clock: Clock,
        rand: Rand,
        metrics: dict[str, float],
        *,
        buffer: int = DEFAULT_BUFFER,
    ) -> None:
        self.stream = stream
        self._connect, self._clock, self._rand, self._metrics = connect, clock, rand, metrics
        self._outbox = Outbox(buffer)
        self._encode = msgspec.msgpack.Encoder().encode
        self._frame = _frame_maker(stream)
        self._trim_every = max(1, min(TRIM_EVERY, (stream.max_len or TRIM_EVERY * 10) // 10))
        self._untrimmed = self._trim_every
        self._arrived: bytes | None = None  # id of the last entry that is known to have arrived for good
        self._written = 0  # chunks under way that Redis has, but perhaps not yet its disk
        self._confirm = asyncio.Event()
        self._broken: OmnitronError | None = None
        self._tasks = TaskSet(f"producer of {stream.name}")
        self._running: asyncio.Task[None] | None = None
        self._sent = 0
        self._attempt = 0  # since something arrived

    async def send(self, item: T) -> None:
        """Return when Redis has the item. Waits while Redis is away."""
        await self.send_many((item,))

    async def send_many(self, items: Iterable[T]) -> None:
        """Like `send`, for many at once: the quick way."""
        last: asyncio.Future[None] | None = None
        for chunk in self._chunks(items):
            chunk.done = last = asyncio.get_running_loop().create_future()
            await self._add(chunk)
        if last is not None:
            await last

    async def put(self, item: T) -> None:
        """Return when the item is in the buffer, which waits only while that is full. `flush` awaits its arrival."""
        await self.put_many((item,))

    async def put_many(self, items: Iterable[T]) -> None:
        """Like `put`, for many at once."""
        for chunk in self._chunks(items):
            await self._add(chunk)

    async def flush(self) -> None:
        """Return when all given before has arrived (`durable`: on Redis's disk). Raises what made that impossible."""
        if self._running is not None:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            await self._add(Chunk([], [], done, flush=True))
            await done

    @property
    def buffered(self) -> int:
        """Items accepted that have not arrived yet."""
        return self._outbox.size

    async def close(self, timeout: float = 5.0) -> None:
        """Flush for at most `timeout` seconds, then stop; logs how many items are lost, if any."""
        try:
            async with asyncio.timeout(timeout):
                await self.flush()
        except (TimeoutError, OmnitronError) as error:
            log.error("stream %s: %d items not sent: %s", self.stream.name, self._outbox.size, error)
        await self._tasks.close()
        self._broken = StreamUnavailable(f"The producer of {self.stream.name!r} has been closed.")
        self._outbox.fail_all(self._broken)

    def _chunks(self, items: Iterable[T]) -> Iterable[Chunk]:
        frames: list[bytes] = []
        keys: list[str] = []
        key_of, encode, frame = self.stream.dedup_key, self._encode, self._frame
        for item in items:
            key = key_of(item) if key_of is not None else ""
            frames.append(frame(encode(item), key))
            if key_of is not None:
                keys.append(key)
            if len(frames) == MAX_BATCH:
                yield Chunk(frames, keys, None)
                frames, keys = [], []
        if frames:
            yield Chunk(frames, keys, None)

    async def _add(self, chunk: Chunk) -> None:
        if self._broken is not None:
            raise self._broken
        if self._running is None:
            self._running = self._tasks.start(self._run(), "writer")
        await self._outbox.add(chunk)

    async def _run(self) -> None:
        while True:
            try:
                connection = await self._connect()
                try:
                    await self._settle_earlier(connection)
                    await self._session(connection)
                finally:
                    connection.close()
                    self._written = 0
            except (StreamUnavailable, ConnectionError) as error:
                self._attempt += 1
                if self._attempt == 1:
                    log.warning("stream %s: %s Sending again what is under way.", self.stream.name, error)
                await self._clock.sleep(backoff(self._attempt, self._rand))
            except OmnitronError as error:
                log.error("stream %s can not be written: %s", self.stream.name, error)
                self._broken = error
                self._outbox.fail_all(error)
                return

    async def _settle_earlier(self, connection: Connection) -> None:
        """Take back what was under way; leave out of it what turns out to have arrived, if items have keys."""
        again = self._outbox.take_back()
        if self.stream.dedup_key is None:
            return
        if self._arrived is None:
            newest = await connection.call("XREVRANGE", self.stream.name, "+", "-", "COUNT", 1)
            self._arrived = newest[0][0] if newest else b"0-0"
        elif again:
            known = await self._keys_since(connection, self._arrived)
            for chunk in again:
                chunk.leave_out(known)

    async def _keys_since(self, connection: Connection, since: bytes) -> set[str]:
        known: set[str] = set()
        upper = b"+"
        for _ in range(DEDUP_WINDOW // DEDUP_PAGE):
            page = await connection.call(
                "XREVRANGE", self.stream.name, upper, b"(" + since, "COUNT", DEDUP_PAGE, timeout=CONFIRM_TIMEOUT_S
            )
            known.update(fields[3].decode() for _, fields in page if len(fields) > 3)
            if len(page) < DEDUP_PAGE:
                break
            upper = b"(" + page[-1][0]
        return known

    async def _session(self, connection: Connection) -> None:
        """Write until the connection is lost."""
        if not self.stream.durable:
            return await self._write(connection)
        second = await self._connect()
        try:
            await self._on_disk(second)  # a Redis that can not say is refused before anything is written
            async with asyncio.TaskGroup() as both:
                both.create_task(self._write(connection))
                both.create_task(self._confirm_written(second))
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None
        finally:
            second.close()

    async def _write(self, connection: Connection) -> None:
        while True:
            chunks = await self._outbox.take()
            frames = [frame for chunk in chunks for frame in chunk.frames]
            count = len(frames)
            self._untrimmed += count
            if self._untrimmed >= self._trim_every:
                frames += self._trims()
            replies = await connection.request(b"".join(frames), len(frames)) if frames else []
            for reply in replies:
                if not isinstance(reply, bytes):
                    check(reply)
            self._attempt = 0
            at = 0
            for chunk in chunks:
                at += len(chunk.frames)
                chunk.last_id = replies[at - 1] if chunk.frames else b""
            self._sent += count
            if self.stream.durable:
                for chunk in chunks:
                    if not chunk.flush:
                        chunk.settle(None)
                self._written += len(chunks)
                self._confirm.set()
            else:
                self._finish(len(chunks))

    def _trims(self) -> list[bytes]:
        self._untrimmed = 0
        name, trims = self.stream.name, list[bytes]()
        if self.stream.max_len is not None:
            trims.append(pack("XTRIM", name, "MAXLEN", "~", self.stream.max_len))
        if self.stream.max_age is not None:
            oldest = int((self._clock.now() - self.stream.max_age) * 1000)
            trims.append(pack("XTRIM", name, "MINID", "~", max(0, oldest)))
        return trims

    def _finish(self, chunks: int) -> None:
        self._arrived = self._outbox.done(chunks) or self._arrived
        self._metrics[f"stream.{self.stream.name}.sent"] = self._sent
        self._metrics[f"stream.{self.stream.name}.buffered"] = self._outbox.size

    async def _confirm_written(self, connection: Connection) -> None:
        """Durable streams: let go of what is on disk."""
        while True:
            await self._confirm.wait()
            self._confirm.clear()
            chunks = self._written
            if await self._on_disk(connection):
                self._written -= chunks
                self._finish(chunks)
            else:
                self._confirm.set()

    async def _on_disk(self, connection: Connection) -> bool:
        """Whether all that was written before is on disk; waits for it a while."""
        mark = pack("SET", f"{self.stream.name}:confirm", 1, "EX", 60)
        wait = pack("WAITAOF", 1, 0, int(CONFIRM_TIMEOUT_S * 1000))
        marked, synced = await connection.request(mark + wait, 2, timeout=2 * CONFIRM_TIMEOUT_S)
        check(marked)
        return await _synced(synced, connection, self.stream.name)


async def _synced(reply: Any, connection: Connection, name: str) -> bool:
    """What WAITAOF says; servers before 7.2 do not know it, but with `appendfsync always` an answer means the disk."""
    try:
        return bool(check(reply)[0])
    except StreamError as error:
        settings = await connection.call("CONFIG", "GET", "append*")
        on = dict(zip(settings[::2], settings[1::2], strict=True))
        if on.get(b"appendonly") == b"yes" and on.get(b"appendfsync") == b"always":
            return True
        raise OperationError(
            f"The stream {name!r} is durable, but this Redis can not confirm that it is on disk: {error.message}",
            remedy="Start Redis with --appendonly yes, and before version 7.2 also with --appendfsync always.",
        ) from None


def _frame_maker(stream: Stream[T]) -> Callable[[bytes, str], bytes]:
    """(payload, key) -> the bytes of its XADD. The fields are d (the item in MessagePack) and, with keys, k."""
    name = stream.name.encode()
    keyed = stream.dedup_key is not None
    head = b"*%d\r\n$4\r\nXADD\r\n$%d\r\n%b\r\n$1\r\n*\r\n$1\r\nd\r\n" % (7 if keyed else 5, len(name), name)

    def plain(payload: bytes, _key: str) -> bytes:
        return b"%b$%d\r\n%b\r\n" % (head, len(payload), payload)

    def with_key(payload: bytes, key: str) -> bytes:
        raw = key.encode()
        return b"%b$%d\r\n%b\r\n$1\r\nk\r\n$%d\r\n%b\r\n" % (head, len(payload), payload, len(raw), raw)

    return with_key if keyed else plain
