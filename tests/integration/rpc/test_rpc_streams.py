import asyncio

import pytest
from rpc_services import OutOfStock, Work
from rpc_world import eventually

from omnitron.base.errors import DeadlineExceeded, WorkerDied
from omnitron.rpc.client import connect
from omnitron.rpc.moved import Moved
from omnitron.rpc.proxy import with_options
from omnitron.wire.frames import STREAM_WINDOW_ITEMS


async def test_all_items_arrive_in_order(serve):
    _, path = await serve(Work())
    work, _ = await connect(path, Work)
    assert [n async for n in work.numbers(1000)] == list(range(1000))
    assert [n async for n in work.numbers(0)] == []


async def test_a_slow_consumer_holds_the_producer_at_the_window(serve):
    service = Work()
    _, path = await serve(service)
    work, link = await connect(path, Work)
    stream = work.numbers(10_000)
    assert await anext(stream) == 0
    for _ in range(20):
        await work.pid()  # whatever the producer could send has been sent by now
    assert service.made <= STREAM_WINDOW_ITEMS + 1
    assert len(next(iter(link.streams.values()))[0].items) < STREAM_WINDOW_ITEMS
    assert [n async for n in stream] == list(range(1, 10_000))


async def test_a_consumer_that_leaves_ends_the_producer(serve):
    service = Work()
    server, path = await serve(service)
    work, link = await connect(path, Work)
    async for number in work.forever():
        if number == 3:
            break

    async def ended():
        return server.stats.streams == 0 and not link.streams

    await eventually(ended)


async def test_an_error_comes_after_the_items_before_it(serve):
    _, path = await serve(Work())
    work, _ = await connect(path, Work)
    got = []
    with pytest.raises(OutOfStock):
        async for number in work.broken_numbers():
            got.append(number)
    assert got == [1]


async def test_a_stream_has_no_deadline_but_its_own(serve):
    _, path = await serve(Work())
    work, _ = await connect(path, Work, default_deadline_s=0.05)
    with pytest.raises(DeadlineExceeded):
        async for _ in with_options(work, deadline="100ms").forever():
            pass
    async with asyncio.timeout(5):
        count = 0
        async for _ in work.forever():
            count += 1
            if count == 40:
                break


async def test_a_draining_server_tells_its_streams_to_move(serve):
    server, path = await serve(Work())
    work, _ = await connect(path, Work)
    stream = work.forever()
    assert await anext(stream) == 0
    draining = asyncio.create_task(server.drain(0.2))
    with pytest.raises(Moved):
        async for _ in stream:
            pass
    assert (await draining).moved == 1


async def test_streams_are_bounded_apart_from_calls(serve):
    from omnitron.base.errors import Overloaded

    _, path = await serve(Work(), stream_limit=2, concurrency=1)
    work, _ = await connect(path, Work)
    streams = [work.forever() for _ in range(3)]
    assert [await anext(stream) for stream in streams[:2]] == [0, 0]
    with pytest.raises(Overloaded):
        await anext(streams[2])
    await work.pid()
    for stream in streams:
        await stream.aclose()


async def test_a_stream_whose_worker_dies_says_so(replicas, client_of):
    (replica,) = replicas(1)
    work = client_of(replica).proxy(Work)
    stream = work.forever()
    assert await anext(stream) == 0
    replica.kill()
    with pytest.raises(WorkerDied):
        async for _ in stream:
            pass
