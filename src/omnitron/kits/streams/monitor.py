"""What each group has before it, measured; and the sign of life of this replica's consumers.

A member counts as dead when it has not spoken to Redis for a while, so one that works long on a batch must: the monitor
reads, in its name, beyond the end of its own pending entries, which gives nothing and is seen.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from omnitron.base.clock import Clock
from omnitron.kits.streams.connection import Connection, StreamError, StreamUnavailable, check, pack
from omnitron.kits.streams.consumer import StreamConsumer

log = logging.getLogger("omnitron.streams")
PERIOD_S: Final = 2.0
MAX_HOLD_S: Final = 600.0  # how long a member may work on one batch before it counts as dead
BEYOND: Final = "18446744073709551615-0"  # not the highest id there is: Redis takes that one for ">"
ALARM: Final = 0.8  # of max_len: from this lag on, trimming is near


@dataclass(slots=True)
class Backlog:
    """lag: entries not given to any member (-1: unknown). pending: given, not acknowledged. lost: trimmed unread."""

    length: int
    lag: int
    pending: int
    lost: int


def backlog(stream: dict[bytes, Any], group: dict[bytes, Any]) -> Backlog:
    """From XINFO STREAM and the group's part of XINFO GROUPS. Pure.

    `entries-read` counts the entries up to the last one delivered, so `entries-added - length` entries trimmed, less
    those, are trimmed and unread: right as long as nobody deletes entries with XDEL or moves the group by hand.
    """
    length, added = int(stream[b"length"]), int(stream[b"entries-added"])
    read, pending = group[b"entries-read"], int(group[b"pending"])
    first = stream[b"first-entry"]
    behind = first is not None and _id(group[b"last-delivered-id"]) < _id(first[0])
    if read is None:
        return Backlog(
            length, length if behind else int(group[b"lag"] if group[b"lag"] is not None else -1), pending, 0
        )
    lost = max(0, added - length - int(read)) if behind else 0
    return Backlog(length, max(0, added - int(read) - lost), pending, lost)


def _id(text: bytes) -> tuple[int, int]:
    high, _, low = text.partition(b"-")
    return int(high), int(low)


class Monitor:
    """One for all consumers of a replica; runs on a connection of its own until it is cancelled."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], clock: Clock, metrics: dict[str, float]) -> None:
        self._connect, self._clock, self._metrics = connect, clock, metrics
        self.consumers: list[StreamConsumer[Any]] = []
        self._gaps: dict[tuple[str, str], int] = {}
        self._alarmed: set[tuple[str, str]] = set()
        self._stuck: set[StreamConsumer[Any]] = set()

    async def run(self) -> None:
        connection: Connection | None = None
        try:
            while True:
                try:
                    if connection is None or connection.closed:
                        connection = await self._connect()
                    self.consumers[:] = [c for c in self.consumers if not c.closed]
                    for consumer in list(self.consumers):
                        await self._look(connection, consumer)
                except (StreamUnavailable, StreamError, ConnectionError) as error:
                    log.debug("no figures of streams: %s", error)
                await self._clock.sleep(PERIOD_S)
        finally:
            if connection is not None:
                connection.close()

    async def _look(self, connection: Connection, consumer: StreamConsumer[Any]) -> None:
        stream, group = consumer.stream.name, consumer.group
        if self._clock.monotonic() - consumer.asked_at > MAX_HOLD_S:
            if consumer not in self._stuck:
                log.error("%r has been at one batch for over %d s; others may take it over", consumer, MAX_HOLD_S)
                self._stuck.add(consumer)
            return
        self._stuck.discard(consumer)
        alive = pack("XREADGROUP", "GROUP", group, consumer.name, "COUNT", 1, "STREAMS", stream, BEYOND)
        data = alive + pack("XINFO", "STREAM", stream) + pack("XINFO", "GROUPS", stream)
        _, about, groups = await connection.request(data, 3)
        rows = [dict(zip(row[::2], row[1::2], strict=True)) for row in check(groups)]
        row = next((row for row in rows if row[b"name"] == group.encode()), None)
        if row is not None:
            self._note(consumer, backlog(dict(zip(check(about)[::2], about[1::2], strict=True)), row))

    def _note(self, consumer: StreamConsumer[Any], found: Backlog) -> None:
        key = (consumer.stream.name, consumer.group)
        prefix = f"stream.{key[0]}.{key[1]}"
        self._metrics[f"stream.{key[0]}.length"] = found.length
        self._metrics[f"{prefix}.lag"] = found.lag
        self._metrics[f"{prefix}.pending"] = found.pending
        if (more := found.lost - self._gaps.get(key, 0)) > 0:
            self._metrics[f"{prefix}.trimmed_unread"] = self._metrics.get(f"{prefix}.trimmed_unread", 0) + more
            log.error("stream %s: %d entries were trimmed before group %s had read them", *key[:1], more, key[1])
        self._gaps[key] = found.lost
        limit = consumer.stream.max_len
        if limit is not None and found.lag >= ALARM * limit and key not in self._alarmed:
            self._alarmed.add(key)
            log.warning("stream %s: group %s is %d entries behind, of %d kept", *key, found.lag, limit)
        elif limit is not None and found.lag < ALARM * limit / 2:
            self._alarmed.discard(key)
