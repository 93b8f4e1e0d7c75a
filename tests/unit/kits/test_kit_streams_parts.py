import asyncio
from typing import Any

import msgspec
import pytest

from omnitron.base.errors import DefinitionError, Unavailable
from omnitron.base.rand import SeededRand
from omnitron.kits.streams import Batch, Stream, consume
from omnitron.kits.streams.connection import BACKOFF_MAX_S, backoff
from omnitron.kits.streams.mark import consume_marks
from omnitron.kits.streams.monitor import Backlog, backlog
from omnitron.kits.streams.outbox import MAX_BATCH, Chunk, Outbox
from omnitron.kits.streams.runner import consumers_of, deliver
from omnitron.testing.clock import FakeClock


class Tick(msgspec.Struct):
    n: int


TICKS = Stream("ticks", type=Tick, max_age="24h")


def test_a_stream_must_have_a_bound() -> None:
    with pytest.raises(DefinitionError, match="no bound") as caught:
        Stream("ticks", type=Tick)
    assert "max_len" in caught.value.remedy
    for wrong in ({"max_len": 0}, {"max_age": 0}, {"max_age": "soon"}):
        with pytest.raises(DefinitionError):
            Stream("ticks", type=Tick, **wrong)  # type: ignore[arg-type]
    with pytest.raises(DefinitionError, match="name"):
        Stream("Ticks!", type=Tick, max_len=1)


def test_a_stream_tells_what_it_is() -> None:
    mark = TICKS.__omnitron_stream__
    assert (mark.name, mark.max_len, mark.max_age) == ("ticks", None, 86400.0)


def test_consume_only_records_and_refuses_what_is_not_async() -> None:
    class Service:
        @consume(TICKS, group="a", batch=10, max_wait="200ms")
        @consume(TICKS, group="b")
        async def on_ticks(self, batch: Batch[Tick]) -> None: ...

    assert [(m.group, m.batch, m.max_wait_s) for m in consume_marks(Service.on_ticks)] == [
        ("a", 10, 0.2),
        ("b", 1000, 0.0),
    ]
    assert len(consumers_of([Service(), object()])) == 2
    with pytest.raises(DefinitionError, match="not async"):
        consume(TICKS, group="a")(lambda batch: None)
    with pytest.raises(DefinitionError):
        consume(TICKS, group="a", batch=0)


def info(length: int, added: int, first: bytes | None, read: int | None, last: bytes, pending: int = 0) -> Backlog:
    """As valkey 9 and Redis 7 say it."""
    about: dict[bytes, Any] = {b"length": length, b"entries-added": added}
    about[b"first-entry"] = None if first is None else [first, [b"d", b""]]
    group = {b"entries-read": read, b"last-delivered-id": last, b"pending": pending, b"lag": None}
    return backlog(about, group)


def test_lag_is_what_a_group_has_not_been_given() -> None:
    assert info(1000, 1000, b"5-0", 100, b"5-99", 7) == Backlog(1000, 900, 7, 0)
    assert info(0, 0, None, None, b"0-0").lag == -1


def test_entries_trimmed_before_a_group_read_them_are_lost_not_lag() -> None:
    assert info(500, 1000, b"7-66", 100, b"5-99") == Backlog(500, 500, 0, 400)
    assert info(500, 1000, b"7-66", 501, b"7-66") == Backlog(500, 499, 0, 0)


def test_a_group_that_was_set_back_lags_by_all_that_is_kept() -> None:
    assert info(510, 1010, b"7-66", None, b"0-0") == Backlog(510, 510, 0, 0)


async def test_backoff_grows_to_its_bound_and_not_beyond() -> None:
    waits = [backoff(n, SeededRand(1)) for n in (1, 3, 5, 50, 5000)]
    assert waits == sorted(waits) and waits[-1] <= BACKOFF_MAX_S


def chunk(*names: str) -> Chunk:
    return Chunk([n.encode() for n in names], list(names), asyncio.get_running_loop().create_future())


async def test_what_is_taken_back_goes_out_again_in_the_same_order() -> None:
    outbox = Outbox(100)
    for name in ("a", "b", "c"):
        await outbox.add(chunk(name))
    first = await outbox.take()
    await outbox.add(chunk("d"))
    outbox.take_back()
    again = await outbox.take()
    assert [c.frames[0] for c in first] == [b"a", b"b", b"c"]
    assert [c.frames[0] for c in again] == [b"a", b"b", b"c", b"d"]
    outbox.done(4)
    assert outbox.size == 0


async def test_items_known_to_have_arrived_are_left_out_but_their_senders_hear_of_it() -> None:
    outbox = Outbox(100)
    await outbox.add(sent := chunk("a", "b"))
    await outbox.take()
    sent.leave_out({"a", "b"})
    outbox.take_back()
    assert (await outbox.take())[0].frames == []
    outbox.done(1)
    assert sent.done is not None and sent.done.done() and outbox.size == 0


async def test_a_full_outbox_makes_one_wait_and_writes_are_bounded() -> None:
    outbox = Outbox(2 * MAX_BATCH)
    for _ in range(2):
        await outbox.add(Chunk([b""] * MAX_BATCH, [], None))
    waiting = asyncio.ensure_future(outbox.add(Chunk([b""], [], None)))
    await asyncio.sleep(0)
    assert not waiting.done()
    assert len(await outbox.take()) == 1
    outbox.done(1)
    await waiting


class Settled:
    def __init__(self) -> None:
        self.done: list[bytes] = []
        self.dead: list[tuple[bytes, str]] = []

    def settle(self, ids: list[bytes]) -> None:
        self.done += ids

    async def bury(self, ids: list[bytes], reason: str) -> None:
        self.dead += [(i, reason) for i in ids]


async def delivered(clock: FakeClock, settled: Settled, handler: Any, count: int = 8) -> None:
    batch = Batch(list(range(count)), [b"%d-0" % n for n in range(count)], settled)
    task = asyncio.ensure_future(deliver(batch, handler, 3, clock, SeededRand(1)))
    while not task.done():
        await clock.advance(10)
    await task


async def test_only_what_spoils_a_batch_is_given_up() -> None:
    settled, tries = Settled(), 0

    async def handler(batch: Batch[int]) -> None:
        nonlocal tries
        tries += 1
        if 5 in batch.items:
            raise ValueError("not five")

    await delivered(FakeClock(), settled, handler)
    assert settled.dead == [(b"5-0", "ValueError: not five")]
    assert sorted(settled.done) == [b"%d-0" % n for n in range(8) if n != 5]
    assert tries == 3 + 2 * 3  # three times the whole, then three levels of halves


@pytest.mark.parametrize("error", [ConnectionError("gone"), TimeoutError(), Unavailable("no replica")])
async def test_an_outage_is_waited_for_and_blamed_on_no_item(error: Exception) -> None:
    settled, tries = Settled(), 0

    async def handler(batch: Batch[int]) -> None:
        nonlocal tries
        tries += 1
        if tries < 50:
            raise error

    await delivered(FakeClock(), settled, handler)
    assert tries == 50 and not settled.dead and len(settled.done) == 8
