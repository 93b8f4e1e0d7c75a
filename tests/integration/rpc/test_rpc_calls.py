"""Unary calls against a server in this process, over a real socket."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from rpc_services import Candle, Control, Model, Order, OutOfStock, Work, Work2
from rpc_world import eventually

from omnitron.base.errors import (
    DeadlineExceeded,
    FrameTooLarge,
    InvalidArguments,
    InvalidResult,
    MethodNotFound,
    Overloaded,
    RemoteError,
    ServiceNotFound,
    Unavailable,
)
from omnitron.rpc.client import RpcClient, connect, over
from omnitron.rpc.context import call_context, use_call
from omnitron.rpc.contract import contract_of
from omnitron.rpc.endpoints import Directory, Endpoint, ServiceRecord
from omnitron.rpc.proxy import with_options
from omnitron.rpc.served import Invocation, Proceed
from omnitron.wire.envelope import Principal


async def test_structs_dataclasses_and_pydantic_models_arrive_as_themselves(serve):
    _, path = await serve(Work())
    work, _ = await connect(path, Work)
    now = datetime.now(UTC)
    assert await work.candle(Candle("BTC", Decimal("1.10"), now)) == Candle("BTC", Decimal("2.20"), now)
    assert await work.candle(factor=3, candle=Candle("BTC", Decimal(1), now)) == Candle("BTC", Decimal(3), now)
    order = Order(uuid4(), [Decimal("0.1")], {"a", "b"})
    assert await work.order(order) == order
    model = Model(
        name="x", sizes={1, 2}, thePrice=Decimal("9.99"), inner=Model(name="y", sizes=set(), thePrice=Decimal(0))
    )
    assert await work.model(model) == model


@pytest.mark.parametrize("size", [0, 1, 100, 20_000, 65_536, 3_000_000])
async def test_bytes_of_any_size_come_back_whole(serve, size):
    _, path = await serve(Work())
    work, _ = await connect(path, Work)
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert bytes(await work.blob(data)) == data
    assert bytes(await work.blob(b"", memoryview(data))) == data


async def test_many_large_calls_at_once_fill_the_socket_and_all_come_back(serve):
    _, path = await serve(Work())
    work, _ = await connect(path, Work)
    blobs = [bytes([n]) * 300_000 for n in range(40)]
    assert [bytes(b) for b in await asyncio.gather(*(work.blob(blob) for blob in blobs))] == blobs


async def test_a_message_over_the_limit_is_refused_and_the_link_lives_on(serve):
    _, path = await serve(Work(), max_frame_bytes=100_000)
    work, _ = await connect(path, Work, max_frame_bytes=200_000)
    with pytest.raises(FrameTooLarge, match="answer"):
        await work.padded(150_000)
    with pytest.raises(FrameTooLarge, match="call"):
        await work.blob(bytes(250_000))
    assert bytes(await work.blob(b"ok")) == b"ok"


async def test_wrong_arguments_are_named_before_the_method_runs(serve):
    _, path = await serve(Work())
    work, _ = await connect(path, Work)
    with pytest.raises(InvalidArguments, match="`seconds`"):
        await work.once("soon")  # type: ignore[arg-type]
    with pytest.raises(InvalidArguments, match="missing a required argument"):
        await work.once()  # type: ignore[call-arg]
    with pytest.raises(InvalidArguments, match="can not be sent"):
        await work.once(object())  # type: ignore[arg-type]


async def test_a_result_that_is_not_what_was_annotated_is_an_invalid_result(serve):
    _, path = await serve(Work())
    work, _ = await connect(path, Work)
    with pytest.raises(InvalidResult, match=r"work\.lie"):
        await work.lie()


async def test_errors_cross_as_themselves_and_others_as_remote_errors(serve, caplog):
    _, path = await serve(Work())
    work, _ = await connect(path, Work)
    with pytest.raises(OutOfStock) as typed:
        await work.sell()
    assert (typed.value.message, typed.value.remedy, typed.value.details) == ("None left.", "Wait.", {"left": 0})
    with pytest.raises(RemoteError, match="no such thing") as plain:
        await work.fail()
    assert plain.value.details["type"] == "ValueError"
    assert "raise ValueError" in plain.value.details["traceback"]
    assert "work.fail raised ValueError" in caplog.text


async def test_only_marked_methods_can_be_called(serve):
    _, path = await serve(Work())
    work, link = await connect(path, Work)
    with pytest.raises(AttributeError, match="@rpc"):
        await work.secret()
    method = contract_of(Work2).methods["pid"]
    with pytest.raises(ServiceNotFound, match=r"work@1\.0\.0"):
        link.call(method, b"\x90", b"", None, 0.0)
    ahead = type("Ahead", (Work,), {"more": Work.pid})
    ahead.__omnitron_service__ = Work.__omnitron_service__
    with pytest.raises(MethodNotFound, match="more"):
        await over(link, ahead).more()


async def test_plain_functions_run_in_threads_side_by_side(serve):
    _, path = await serve(Work())
    work, _ = await connect(path, Work)
    assert set(await asyncio.gather(*(work.meet() for _ in range(4)))) == set(range(4))
    assert await work.block(0, answer="by name") == "by name"


async def test_an_expired_call_is_ended_on_both_sides(serve):
    service = Work()
    _, path = await serve(service)
    work, _ = await connect(path, Work)
    with pytest.raises(DeadlineExceeded, match=r"work\.once"):
        await with_options(work, deadline="50ms").once(30)

    async def cancelled():
        return service.cancelled == 1

    await eventually(cancelled)


async def test_the_server_keeps_deadlines_without_the_caller(serve):
    service = Work()
    server, path = await serve(service)
    _, link = await connect(path, Work)
    _, answer = link.call(contract_of(Work).methods["once"], b"\x91\x1e", b"", 0.05, 0.0)
    link._sweeper.cancel()
    with pytest.raises(DeadlineExceeded, match="did not finish"):
        await answer
    assert service.cancelled == 1 or server.stats.in_flight == 1


async def test_a_call_given_up_is_cancelled_at_the_server_and_its_slot_is_free(serve):
    service = Work()
    server, path = await serve(service)
    work, _ = await connect(path, Work)
    task = asyncio.create_task(work.once(30))

    async def running():
        return server.stats.in_flight == 1

    async def free():
        return server.stats.in_flight == 0

    await eventually(running)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(free)
    assert service.cancelled == 1


async def test_a_client_that_leaves_has_its_calls_cancelled(serve):
    service = Work()
    server, path = await serve(service)
    work, link = await connect(path, Work)
    tasks = [asyncio.create_task(work.once(30)) for _ in range(3)]
    await asyncio.sleep(0)
    link.flush()

    async def running():
        return server.stats.in_flight == 3

    async def free():
        return server.stats.in_flight == 0

    await eventually(running)
    link.abort()
    await eventually(free)
    assert service.cancelled == 3
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert {getattr(result, "code", None) for result in results} == {"worker_died"}


async def test_what_no_slot_and_no_queue_can_take_is_refused_at_once(serve):
    server, path = await serve(Work(), concurrency=1, queue_limit=1)
    work, _ = await connect(path, Work)
    running, queued = asyncio.create_task(work.once(0.3)), asyncio.create_task(work.once(0))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as refused:
        await work.once(0)
    assert refused.value.retry_after_s > 0
    assert not running.done()
    assert await running == await queued
    assert server.stats.refused == 1


async def test_overload_of_one_replica_sends_the_call_to_another(serve):
    _, first = await serve(Work(), concurrency=1, queue_limit=0)
    _, second = await serve(Work(), concurrency=1, queue_limit=0)
    endpoints = (Endpoint("test/work/0", first), Endpoint("test/work/1", second))
    client = RpcClient(Directory("test", [ServiceRecord("test", "work", "1.0.0", "Work", endpoints)]))
    work = client.proxy(Work)
    await asyncio.gather(*(work.pid() for _ in range(1)))
    busy, _ = await connect(first, Work)
    hold = [asyncio.create_task(busy.once(0.3))]
    await asyncio.sleep(0.05)
    for _ in range(10):
        await work.pid()
    other, _ = await connect(second, Work)
    hold.append(asyncio.create_task(other.once(0.3)))
    await asyncio.sleep(0.05)
    with pytest.raises(Overloaded):
        await work.pid()
    await asyncio.gather(*hold)
    await client.close()


async def test_a_method_with_a_bound_of_its_own_leaves_room_for_others(serve):
    server, path = await serve(Work(), concurrency=4)
    work, _ = await connect(path, Work)
    alone = [asyncio.create_task(work.alone(0.05)) for _ in range(6)]
    await asyncio.sleep(0.02)
    assert server.stats.in_flight == 1
    await work.pid()
    await asyncio.gather(*alone)
    assert server.stats.in_flight == 0


async def test_a_long_queue_is_worked_off_in_order(serve):
    server, path = await serve(Work(), concurrency=1, queue_limit=2000)
    work, _ = await connect(path, Work)
    done: list[int] = []

    async def call(number: int) -> None:
        await work.pid()
        done.append(number)

    await asyncio.gather(*(call(number) for number in range(1500)))
    assert done == list(range(1500))
    assert (server.stats.in_flight, server.stats.queued) == (0, 0)


async def test_system_services_answer_when_all_slots_are_taken(serve):
    _, path = await serve(Work(), concurrency=1, queue_limit=0, system=(Control(),))
    work, link = await connect(path, Work)
    held = asyncio.create_task(work.once(0.2))
    assert await over(link, Control).ping() == "pong"
    assert not held.done()
    await held


async def test_versions_are_served_side_by_side_and_found_by_what_the_caller_knows(serve):
    _, path = await serve(Work(), Work2())
    one, link = await connect(path, Work)
    assert f"pid {await one.pid()}" == await over(link, Work2).pid()
    endpoint = (Endpoint("test/work/0", path),)
    directory = Directory(
        "test",
        [ServiceRecord("test", "work", v, c, endpoint) for v, c in (("1.0.0", "Work"), ("2.0.0", "Work2"))],
    )
    client = RpcClient(directory)
    assert await client.proxy(Work2).pid() == await client.proxy(Work2, service="test/Work2").pid()
    for _ in range(2):
        with pytest.raises(ServiceNotFound, match=r"work@2\.0\.0"):
            await client.proxy(Work, service="work").pid()
        directory.update(directory.records)
    directory.update(directory.records[:1])
    assert await client.proxy(Work, service="work").pid() == await one.pid()
    await client.close()


async def test_principal_trace_and_baggage_reach_the_method(serve):
    _, path = await serve(Work())
    work, _ = await connect(path, Work, who="test/http/0")
    assert await work.who_calls() == ["test/http/0", None, None, None]
    with use_call(call_context(principal=Principal("u1"), trace="00-a-b-01", baggage={"tenant": "t"})):
        assert await work.who_calls() == ["test/http/0", "u1", "00-a-b-01", "t"]


@pytest.mark.parametrize("wait", [False, True])
async def test_no_call_sees_a_context_variable_of_another(serve, wait):
    _, path = await serve(Work())
    work, _ = await connect(path, Work)
    for _ in range(3):
        assert not any(await asyncio.gather(*(work.leave_behind(wait) for _ in range(4))))


async def test_a_call_has_no_more_time_than_the_call_it_is_part_of(serve):
    _, path = await serve(Work())
    work, link = await connect(path, Work)
    with use_call(call_context(deadline=link.clock.monotonic() + 1)):
        left = await work.time_left()
        assert left is not None and left <= 1
    with use_call(call_context(deadline=link.clock.monotonic() - 1)), pytest.raises(DeadlineExceeded):
        await work.time_left()


async def test_a_service_nobody_offers_is_unavailable_at_the_deadline(serve):
    client = RpcClient(Directory("test"))
    with pytest.raises(Unavailable, match="knows no service work"):
        await with_options(client.proxy(Work), deadline="20ms").pid()
    await client.close()


async def test_services_may_be_added_while_connections_are_open(serve):
    server, path = await serve(Work())
    _, link = await connect(path, Work)
    server.add(contract_of(Work2), Work2())
    later = over(link, Work2)

    async def offered():
        return len(link.hello.offers) == 2

    await eventually(offered)
    assert (await later.pid()).startswith("pid ")


async def test_interceptors_see_each_call_and_may_refuse_it(serve):
    seen: list[str] = []

    async def guard(call: Invocation, proceed: Proceed):
        seen.append(call.method.title)
        if call.method.name == "sell":
            raise InvalidArguments("Closed.")
        return await proceed()

    _, path = await serve(Work(), interceptors=[guard])
    work, _ = await connect(path, Work)
    await work.pid()
    assert await work.block(0, answer="yes") == "yes"
    assert [n async for n in work.numbers(3)] == [0, 1, 2]
    with pytest.raises(InvalidArguments, match="Closed"):
        await work.sell()
    assert seen == ["work.pid", "work.block", "work.numbers", "work.sell"]
