import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from kit_servers import Context, RedisServer, eventually
from redis.asyncio import Redis

from omnitron.base.errors import OmnitronError, OperationError
from omnitron.kits.streams import Batch, ConsumerRunner, Stream, StreamConsumer, Streams, consume, producer

MakeContext = Callable[..., Context]


class Trade(msgspec.Struct, frozen=True):
    trade_id: int
    price: Decimal = Decimal("64231.125")


TICKS = Stream("ticks", type=Trade, max_len=100_000)
KEYED = Stream("ticks", type=Trade, max_len=100_000, dedup_key=lambda t: str(t.trade_id))
DURABLE = Stream("ticks", type=Trade, max_len=100_000, durable=True, dedup_key=lambda t: str(t.trade_id))


@asynccontextmanager
async def opened(ctx: Context) -> AsyncIterator[Streams]:
    async with asyncio.timeout(30), asynccontextmanager(Streams.__omnitron_provide__)(ctx) as streams:
        yield streams


@asynccontextmanager
async def client(server: RedisServer) -> AsyncIterator["Redis"]:
    redis = Redis.from_url(server.url)
    try:
        yield redis
    finally:
        await redis.aclose()


async def all_of(streams: Streams, stream: Stream[Trade]) -> list[int]:
    return [t.trade_id async for batch in streams.replay(stream) for t in batch]


def trades(*numbers: int) -> list[Trade]:
    return [Trade(n) for n in numbers]


async def take(streams: Streams, count: int, **options: object) -> list[int]:
    """Consume and acknowledge so many."""
    got: list[int] = []
    consumer = streams.consumer(TICKS, group="g", **options)  # type: ignore[arg-type]
    async for batch in consumer:
        got += [t.trade_id for t in batch]
        await batch.ack()
        if len(got) >= count:
            consumer.stop()
    return got


async def test_items_come_out_as_they_went_in_and_in_order(context: MakeContext) -> None:
    async with opened(context()) as streams:
        await streams.producer(TICKS).send(Trade(0, Decimal("0.10")))
        await streams.producer(TICKS).send_many(trades(*range(1, 7000)))
        got = [t async for batch in streams.replay(TICKS) for t in batch]
        assert got[0].price == Decimal("0.10") and str(got[0].price) == "0.10"
        assert [t.trade_id for t in got] == list(range(7000))


async def test_each_item_goes_to_one_member_of_a_group_and_to_every_group(context: MakeContext) -> None:
    async with opened(context("m/a/0")) as one, opened(context("m/a/1")) as two:
        await one.producer(TICKS).send_many(trades(*range(200)))
        got: list[int] = []

        members = [streams.consumer(TICKS, group="g", batch=10) for streams in (one, two)]

        async def work(consumer: StreamConsumer[Trade]) -> None:
            async for batch in consumer:
                got.extend(t.trade_id for t in batch)
                await batch.ack()
                if len(got) >= 200:
                    for member in members:
                        member.stop()

        await asyncio.gather(*(work(member) for member in members))
        assert sorted(got) == list(range(200))
        other = one.consumer(TICKS, group="other")
        assert len(await anext(other)) == 200


async def test_what_was_not_acknowledged_comes_again_under_the_same_name(context: MakeContext) -> None:
    async with opened(context()) as streams:
        await streams.producer(TICKS).send_many(trades(*range(30)))
        consumer = streams.consumer(TICKS, group="g", batch=10)
        await (await anext(consumer)).ack()
        await anext(consumer)  # the second batch is dropped
    async with opened(context()) as streams:
        assert await take(streams, 20, batch=10) == list(range(10, 30))


async def test_a_dead_members_entries_are_taken_over_but_not_a_living_ones(context: MakeContext) -> None:
    async with opened(context("m/a/0")) as dying, opened(context("m/a/1")) as slow, opened(context("m/a/2")) as heir:
        await dying.producer(TICKS).send_many(trades(*range(20)))
        await anext(dying.consumer(TICKS, group="g", batch=10))
        in_hand = await anext(slow.consumer(TICKS, group="g", batch=10))
        await dying.close()
        got = await take(heir, 10, batch=10, dead_after=3)
        assert got == list(range(10))
        assert [t.trade_id for t in in_hand] == list(range(10, 20))


async def test_a_group_is_told_how_far_behind_it_is(context: MakeContext) -> None:
    ctx = context()
    async with opened(ctx) as streams:
        await streams.producer(TICKS).send_many(trades(*range(100)))
        consumer = streams.consumer(TICKS, group="g", batch=30)
        await anext(consumer)
        await eventually(lambda: ctx.metrics.get("stream.ticks.g.lag") == 70)
        assert ctx.metrics["stream.ticks.g.pending"] == 30
        assert ctx.metrics["stream.ticks.length"] == 100
        assert ctx.metrics["stream.ticks.sent"] == 100


async def test_the_stream_keeps_its_bound_and_trimming_unread_entries_is_counted(context: MakeContext) -> None:
    small = Stream("ticks", type=Trade, max_len=1000)
    ctx = context()
    async with opened(ctx) as streams:
        producer = streams.producer(small)
        await producer.send_many(trades(*range(100)))
        batch = await anext(streams.consumer(small, group="g", batch=100))
        await batch.ack()
        for start in range(100, 5100, 100):
            await producer.send_many(trades(*range(start, start + 100)))
        kept = await all_of(streams, small)
        assert len(kept) <= 1200
        await eventually(lambda: ctx.metrics.get("stream.ticks.g.trimmed_unread") == 5000 - len(kept))
        assert ctx.metrics["stream.ticks.g.lag"] == len(kept)


async def test_max_age_trims_what_is_older(context: MakeContext, redis_server: RedisServer) -> None:
    aged = Stream("ticks", type=Trade, max_age="1h")
    async with opened(context()) as streams, client(redis_server) as redis:
        for n in range(1000):  # an hour and more ago
            await redis.xadd("ticks", {"d": msgspec.msgpack.encode(Trade(n))}, id=f"{1_700_000_000_000 + n}-0")
        await streams.producer(aged).send(Trade(1000))
        assert await redis.xlen("ticks") < 200


async def test_what_can_not_be_decoded_is_a_dead_letter(context: MakeContext, redis_server: RedisServer) -> None:
    ctx = context()
    async with opened(ctx) as streams, client(redis_server) as redis:
        await streams.producer(TICKS).send(Trade(1))
        await redis.xadd("ticks", {"d": b"\xc1 not msgpack"})
        await redis.xadd("ticks", {"other": "field"})
        await redis.xadd("ticks", {"d": msgspec.msgpack.encode({"trade_id": "seven"})})
        await streams.producer(TICKS).send(Trade(2))
        assert await take(streams, 2) == [1, 2]
        letters = await redis.xrange("ticks:dead")
        assert len(letters) == 3 and b"not a Trade" in letters[0][1][b"reason"]
        assert ctx.metrics["stream.ticks.g.dead"] == 3
        assert (await redis.xpending("ticks", "g"))["pending"] == 0


async def test_a_poisonous_entry_does_not_take_the_others_of_its_batch_along(
    context: MakeContext, redis_server: RedisServer
) -> None:
    """A consumer that dies at item 7, again and again, under one name."""
    done: list[int] = []
    async with opened(context()) as streams:
        await streams.producer(TICKS).send_many(trades(*range(20)))
    for _ in range(20):
        async with opened(context()) as streams:
            async for batch in (consumer := streams.consumer(TICKS, group="g", batch=10, max_deliveries=4)):
                if any(t.trade_id == 7 for t in batch):
                    break  # killed: nothing acknowledged
                done += [t.trade_id for t in batch]
                await batch.ack()
                if 19 in done:
                    consumer.stop()
        if 19 in done:
            break
    assert sorted(done) == [n for n in range(20) if n != 7]
    async with client(redis_server) as redis:
        assert len(await redis.xrange("ticks:dead")) == 1


async def test_a_group_set_back_processes_again(context: MakeContext) -> None:
    async with opened(context()) as streams:
        await streams.producer(TICKS).send_many(trades(*range(10)))
        assert await take(streams, 10) == list(range(10))
        await streams.reset(TICKS, group="g", to_id="0")
        assert await take(streams, 10) == list(range(10))


async def test_a_batch_waits_for_more_if_told_to(context: MakeContext) -> None:
    async with opened(context()) as streams:
        producer = streams.producer(TICKS)
        consumer = streams.consumer(TICKS, group="g", batch=50, max_wait="10s")
        await producer.send(Trade(0))
        waiting = asyncio.ensure_future(anext(consumer))
        for n in range(1, 50):
            await producer.send(Trade(n))
        assert len(await waiting) == 50


@pytest.mark.parametrize("stream", [KEYED, DURABLE], ids=["keyed", "durable"])
async def test_a_producer_survives_kills_of_redis_and_repeats_nothing(
    context: MakeContext, redis_server: RedisServer, stream: Stream[Trade]
) -> None:
    async with opened(context()) as streams:
        producer = streams.producer(stream)
        sending = asyncio.ensure_future(_send_all(producer.put, range(4000)))
        for _ in range(3):
            await asyncio.sleep(0.15)
            redis_server.kill()
            redis_server.start()
        await sending
        await producer.flush()
        assert await all_of(streams, stream) == list(range(4000))


async def test_what_redis_acknowledged_and_forgot_is_sent_again(
    context: MakeContext, redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a power cut: the append-only file is gone. `appendfsync no` keeps the disk from being confirmed."""
    monkeypatch.setattr(producer, "CONFIRM_TIMEOUT_S", 0.2)
    async with client(redis_server) as redis:
        await redis.config_set("appendfsync", "no")
    async with opened(context()) as streams:
        await streams.producer(DURABLE).send_many(trades(*range(100)))
        redis_server.kill()
        shutil.rmtree(tmp_path / "appendonlydir")
        redis_server.start()

        async def again() -> bool:
            return await all_of(streams, DURABLE) == list(range(100))

        await eventually(again)
        await asyncio.wait_for(streams.producer(DURABLE).flush(), 10)  # this Redis confirms


async def _send_all(put: Callable[[Trade], object], numbers: range) -> None:
    for n in numbers:
        await put(Trade(n))  # type: ignore[misc]
        if n % 8 == 0:
            await asyncio.sleep(0.001)


async def test_a_consumer_survives_a_kill_of_redis(context: MakeContext, redis_server: RedisServer) -> None:
    async with opened(context()) as streams:
        producer = streams.producer(DURABLE)
        await producer.send_many(trades(*range(100)))
        got: set[int] = set()
        consumer = streams.consumer(TICKS, group="g", batch=10)

        async def read() -> None:
            async for batch in consumer:
                got.update(t.trade_id for t in batch)
                await batch.ack()

        reading = asyncio.ensure_future(read())
        await eventually(lambda: got)
        redis_server.kill()
        redis_server.start()
        await producer.send_many(trades(*range(100, 200)))
        await eventually(lambda: len(got) == 200)
        consumer.stop()
        await reading


async def test_a_full_buffer_makes_senders_wait(context: MakeContext, redis_server: RedisServer) -> None:
    async with opened(context()) as streams:
        producer = streams.producer(TICKS, buffer=100)
        await producer.send(Trade(0))
        redis_server.kill()
        putting = asyncio.ensure_future(_send_all(producer.put, range(1, 500)))
        await eventually(lambda: producer.buffered >= 100)
        await asyncio.sleep(0.1)
        assert producer.buffered == 100 and not putting.done()
        redis_server.start()
        await putting
        await producer.flush()
        assert set(await all_of(streams, TICKS)) >= set(range(1, 500))


async def test_a_durable_stream_refuses_a_redis_without_a_disk(context: MakeContext, redis_server: RedisServer) -> None:
    async with client(redis_server) as redis:
        await redis.config_set("appendonly", "no")
    async with opened(context()) as streams:
        with pytest.raises(OperationError, match="appendonly"):
            await streams.producer(DURABLE).send(Trade(1))


async def test_a_key_of_another_type_is_an_error_not_an_endless_retry(
    context: MakeContext, redis_server: RedisServer
) -> None:
    async with client(redis_server) as redis:
        await redis.set("ticks", "mine")
    async with opened(context()) as streams:
        with pytest.raises(OmnitronError, match="WRONGTYPE"):
            await streams.producer(TICKS).send(Trade(1))


async def test_a_wrong_password_says_so(context: MakeContext, redis_server: RedisServer) -> None:
    async with client(redis_server) as redis:
        await redis.config_set("requirepass", "secret")
        ctx = context()
        ctx.environ["REDIS_URL"] = redis_server.url.replace("//", "//:wrong@")
        async with opened(ctx) as streams:
            with pytest.raises(OperationError, match="password"):
                await streams.producer(TICKS).send(Trade(1))
        ctx.environ["REDIS_URL"] = redis_server.url.replace("//", "//:secret@")
        async with opened(ctx) as streams:
            await streams.producer(TICKS).send(Trade(1))


class Aggregator:
    def __init__(self) -> None:
        self.done: list[int] = []
        self.database_is_away = 3

    @consume(TICKS, group="aggregators", batch=16, max_deliveries=2)
    async def on_ticks(self, batch: Batch[Trade]) -> None:
        if self.database_is_away:
            self.database_is_away -= 1
            raise ConnectionError("no database")
        if any(t.trade_id == 5 for t in batch):
            raise ValueError("five is right out")
        self.done += [t.trade_id for t in batch]


async def test_consume_methods_run_and_only_the_culprit_of_a_failing_batch_is_given_up(
    context: MakeContext, redis_server: RedisServer
) -> None:
    ctx = context()
    service = Aggregator()
    ctx.services.append(service)
    async with opened(context("m/c/0")) as streams, client(redis_server) as redis:
        await streams.producer(TICKS).send_many(trades(*range(16)))
        async with asynccontextmanager(ConsumerRunner.__omnitron_provide__)(ctx):
            await eventually(lambda: len(service.done) == 15)
            await eventually(lambda: redis.xlen("ticks:dead"))
        assert sorted(service.done) == [n for n in range(16) if n != 5]
        assert b"five is right out" in (await redis.xrange("ticks:dead"))[0][1][b"reason"]
        assert (await redis.xpending("ticks", "aggregators"))["pending"] == 0
